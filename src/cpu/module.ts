/** The CPU as a device: an instance of the WebAssembly module, its memory and its threads. */

import { SCRATCH } from "./control.ts";
import { CpuMemory } from "./memory.ts";

/** Builds of one source, best first: see tools/build_cpu.ts. */
export type CpuBuild = "relaxed_threads" | "relaxed" | "plain";

/** Packs rows at `source` into panels: see kernels/cpu/assembly/pack.ts. */
type Pack = (
  source: number,
  matrix: number,
  dtype: number,
  rowStart: number,
  rows: number,
  columns: number,
) => void;

/** What the module exports. */
interface ModuleExports {
  readonly packRows: Pack;
  readonly packScales: Pack;
  readonly heapStart: () => number;
  readonly run: (list: number, count: number, times: number) => void;
}

/** Options of {@linkcode openCpu}. */
export interface CpuOptions {
  /** Default: the best that this runtime takes. */
  readonly build?: CpuBuild;
  /** Threads that work, the caller's among them. */
  readonly threads?: number;
}

/** An instance of the module. */
export class Cpu implements Disposable {
  /** Which build runs. */
  readonly build: CpuBuild;
  /** Where tensors live. */
  readonly memory: CpuMemory;
  readonly #exports: ModuleExports;
  #scratch: { readonly address: number; readonly sizeBytes: number } | undefined;

  /** Use {@linkcode openCpu}. */
  constructor(build: CpuBuild, module: WebAssembly.Module) {
    const memory = new WebAssembly.Memory({
      initial: 1,
      maximum: 65536,
      shared: build === "relaxed_threads",
    });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    this.#exports = exports as unknown as ModuleExports;
    this.build = build;
    this.memory = new CpuMemory(memory, this.#exports.heapStart());
  }

  /** Threads that work. */
  get threads(): number {
    return 1;
  }

  /** How rows get into panels. */
  get pack(): Pick<ModuleExports, "packRows" | "packScales"> {
    return this.#exports;
  }

  /** Computes `count` op records from address `list`, `times` times. */
  run(list: number, count: number, times: number): void {
    this.#exports.run(list, count, times);
  }

  /**
   * Makes sure that each thread has so much scratch memory.
   *
   * @returns Where the caller's begins.
   */
  reserveScratch(sizeBytes: number): number {
    if (this.#scratch !== undefined && sizeBytes <= this.#scratch.sizeBytes) {
      return this.#scratch.address;
    }
    if (this.#scratch !== undefined) this.memory.free(this.#scratch.address);
    const address = this.memory.allocate("scratch", sizeBytes);
    this.#scratch = { address, sizeBytes };
    new DataView(this.memory.memory.buffer).setUint32(SCRATCH, address, true);
    return address;
  }

  /** Frees the scratch memory; the memory itself goes when nobody refers to it. */
  [Symbol.dispose](): void {
    if (this.#scratch !== undefined) this.memory.free(this.#scratch.address);
    this.#scratch = undefined;
  }
}

/** Opens the CPU: compiles the best build that this runtime takes. */
export async function openCpu(options: CpuOptions = {}): Promise<Cpu> {
  const builds: readonly CpuBuild[] = options.build === undefined
    ? ["relaxed_threads", "relaxed", "plain"]
    : [options.build];
  for (const build of builds) {
    const bytes = await moduleBytes(build);
    if (!WebAssembly.validate(bytes)) continue;
    return new Cpu(build, await WebAssembly.compile(bytes));
  }
  throw new Error(
    `Cannot run on the CPU: this runtime takes no build of ${builds.join(", ")}, and needs SIMD`,
  );
}

async function moduleBytes(build: CpuBuild): Promise<Uint8Array<ArrayBuffer>> {
  switch (build) {
    case "relaxed_threads":
      return decode((await import("../../kernels/cpu/relaxed_threads.ts")).MODULE);
    case "relaxed":
      return decode((await import("../../kernels/cpu/relaxed.ts")).MODULE);
    case "plain":
      return decode((await import("../../kernels/cpu/plain.ts")).MODULE);
  }
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(base64);
}
