/** The CPU as a device: an instance of the WebAssembly module, its memory and its threads. */

import { roundUp } from "../../model/shapes.ts";
import { CALLER_MAY_SLEEP, MAX_THREADS, SCRATCH } from "./control.ts";
import { fromBase64 } from "../../runtime/bytes.ts";
import { CpuMemory } from "./memory.ts";
import { type CpuWorker, mayBlock, type StartWorker, workerStarter } from "./worker.ts";

/** Builds of one source: see tools/build_cpu.ts. */
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
  readonly heapStart: () => number;
  readonly packRows: Pack;
  readonly packScales: Pack;
  readonly run: (list: number, count: number, times: number) => void;
  /** Only of the build with threads. */
  readonly setThreads?: (threads: number) => void;
}

/** Options of {@linkcode openCpu}. */
export interface CpuOptions {
  /** Threads at most, the caller's among them; default 1. Where memory cannot be shared it is 1 whatever is asked. */
  readonly threads?: number;
  /** Default: the best that this runtime takes and the threads need. */
  readonly build?: CpuBuild;
}

/** Scratch memory of different threads is so far apart at least, and its pages are different ones. */
const SCRATCH_ALIGNMENT = 4096;

/** An instance of the module. */
export class Cpu implements Disposable {
  /** Which build runs. */
  readonly build: CpuBuild;
  /** Where tensors live. */
  readonly memory: CpuMemory;
  /** Threads there are, the caller's among them. */
  readonly maxThreads: number;
  readonly #exports: ModuleExports;
  readonly #workers: readonly CpuWorker[];
  #threads: number;
  #scratch: { readonly address: number; readonly sizeBytes: number } | undefined;

  /** Use {@linkcode openCpu}. */
  constructor(
    build: CpuBuild,
    module: WebAssembly.Module,
    threads: number,
    startWorker: StartWorker | undefined,
  ) {
    const shared = build === "relaxed_threads";
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared });
    const { exports } = instantiate(module, memory);
    this.#exports = exports as unknown as ModuleExports;
    this.build = build;
    this.memory = new CpuMemory(memory, this.#exports.heapStart());
    this.maxThreads = startWorker === undefined
      ? 1
      : Math.max(1, Math.min(Math.floor(threads), MAX_THREADS));
    this.#threads = this.maxThreads;
    this.#exports.setThreads?.(this.#threads);
    this.#store(CALLER_MAY_SLEEP, Number(shared && mayBlock()));
    this.#workers = startWorker === undefined ? [] : Array.from(
      { length: this.maxThreads - 1 },
      (_, worker) => startWorker({ module, memory, index: worker + 1 }),
    );
  }

  /** Threads that work, the caller's among them. */
  get threads(): number {
    return this.#threads;
  }

  /** How many threads work from now on; the others sleep. No result depends on it. */
  setThreads(threads: number): void {
    if (!(threads >= 1 && threads <= this.maxThreads)) {
      throw new RangeError(
        `Cannot run on ${threads} threads: the CPU was opened with ${this.maxThreads}`,
      );
    }
    this.#threads = Math.floor(threads);
    this.#exports.setThreads?.(this.#threads);
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
    const step = roundUp(sizeBytes, SCRATCH_ALIGNMENT);
    const address = this.memory.allocate("scratch", step * this.maxThreads);
    this.#scratch = { address, sizeBytes: step };
    for (let thread = 0; thread < this.maxThreads; thread++) {
      this.#store(SCRATCH + 4 * thread, address + thread * step);
    }
    return address;
  }

  #store(address: number, word: number): void {
    new DataView(this.memory.memory.buffer).setUint32(address, word, true);
  }

  /** Ends the workers and frees the scratch memory; the memory itself goes when nobody refers to it. */
  [Symbol.dispose](): void {
    // Those that compute return by themselves; those that have not come so far never begin.
    this.#exports.setThreads?.(0);
    for (const worker of this.#workers) worker.terminate();
    if (this.#scratch !== undefined) this.memory.free(this.#scratch.address);
    this.#scratch = undefined;
  }
}

function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): WebAssembly.Instance {
  return new WebAssembly.Instance(module, { env: { memory, now: () => performance.now() } });
}

/** Opens the CPU: compiles the best build that this runtime takes, and starts its threads. */
export async function openCpu({ threads = 1, build }: CpuOptions = {}): Promise<Cpu> {
  const builds: CpuBuild[] = ["relaxed", "plain"];
  if (threads > 1 && maySharedMemory()) builds.unshift("relaxed_threads");
  for (const each of build === undefined ? builds : [build]) {
    const bytes = await moduleBytes(each);
    if (!WebAssembly.validate(bytes)) continue;
    const startWorker = each === "relaxed_threads" ? workerStarter() : undefined;
    return new Cpu(each, await WebAssembly.compile(bytes), threads, startWorker);
  }
  throw new Error(
    `Cannot run on the CPU: this runtime takes no build of ${builds.join(", ")}, and needs SIMD`,
  );
}

/** Whether workers can be given memory: pages need to be isolated for that, Deno does not ask for it. */
function maySharedMemory(): boolean {
  return typeof SharedArrayBuffer === "function" &&
    (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false;
}

async function moduleBytes(build: CpuBuild): Promise<Uint8Array<ArrayBuffer>> {
  switch (build) {
    case "relaxed_threads":
      return fromBase64((await import("../../../kernels/cpu/relaxed_threads.ts")).MODULE);
    case "relaxed":
      return fromBase64((await import("../../../kernels/cpu/relaxed.ts")).MODULE);
    case "plain":
      return fromBase64((await import("../../../kernels/cpu/plain.ts")).MODULE);
  }
}
