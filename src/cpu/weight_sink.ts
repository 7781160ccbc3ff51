/** How weights come into the memory of the CPU's module. */

import type { ModelConfig } from "../model/config/config.ts";
import type { Executor, WeightRows, WeightSink } from "../model/executor.ts";
import { elementCount } from "../model/shapes.ts";
import type { LoadPlan, PlannedWeight } from "../model/weights/load_plan.ts";
import { modelWeights } from "../passes/weights.ts";
import { CpuExecutor } from "./executor.ts";
import { defaultThreads } from "./machine/default_threads.ts";
import { type CpuMatrix, createCpuMatrix, writeMatrixRows } from "./machine/matrix.ts";
import { type Cpu, type CpuOptions, openCpu } from "./machine/module.ts";
import { CpuProgram } from "./machine/program.ts";
import { type CpuTensor, createCpuTensor } from "./machine/tensor.ts";
import { requireRoom, weightSize } from "./memory_needs.ts";
import { CPU_PARTS } from "./platform.ts";

/**
 * Opens the CPU to load a model into its memory. Where nobody says how many threads work, it is as many as help.
 *
 * @throws {Error} If this runtime has no SIMD for WebAssembly.
 */
export async function openWeightSink(options: CpuOptions = {}): Promise<WeightSink> {
  const { threads = defaultThreads() } = options;
  const cpu = await openCpu({ ...options, threads });
  return new CpuWeightSink(cpu, { choosesThreads: options.threads === undefined });
}

/** Allocates a model's tensors, packs its matrices as they come, and becomes the executor over them. */
export class CpuWeightSink implements WeightSink {
  readonly #cpu: Cpu;
  readonly #choosesThreads: boolean;
  /** By official name. */
  readonly #matrices: Map<string, CpuMatrix> = new Map();
  readonly #vectors: Map<string, CpuTensor> = new Map();
  #config: ModelConfig | undefined;
  #sizeBytes = 0;
  #finished = false;

  /** It owns the CPU, as does the executor that it becomes. */
  constructor(cpu: Cpu, { choosesThreads }: { readonly choosesThreads: boolean }) {
    this.#cpu = cpu;
    this.#choosesThreads = choosesThreads;
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async allocate(plan: LoadPlan): Promise<void> {
    CPU_PARTS.requireSupported(plan.config);
    requireRoom(plan);
    for (const { spec: { name, shape, kind }, dtype } of plan.weights) {
      if (kind === "vector") {
        this.#vectors.set(name, createCpuTensor(this.#cpu, name, shape));
        continue;
      }
      const [rows = 0, columns = 0] = shape;
      this.#matrices.set(name, createCpuMatrix(this.#cpu, name, [rows, columns], { dtype }));
    }
    this.#config = plan.config;
    this.#sizeBytes = plan.weights.reduce((sum, { spec, dtype }) => {
      return sum + weightSize(spec, dtype);
    }, 0);
  }

  writeRows({ spec }: PlannedWeight, firstRow: number, rows: WeightRows): void {
    if (spec.kind === "matrix") {
      writeMatrixRows(required(this.#matrices, spec.name), firstRow, rows);
    } else if (rows instanceof Float32Array) {
      const offset = firstRow * elementCount(spec.shape.slice(1)) * 4;
      required(this.#vectors, spec.name).write(rows, offset);
    } else throw new TypeError(`Cannot write "${spec.name}": it takes floats`);
  }

  /** Nothing is ever under way. */
  async flush(): Promise<void> {}

  // deno-lint-ignore require-await -- other executors have to wait here.
  async finish(): Promise<Executor> {
    if (this.#config === undefined) throw new TypeError("Cannot run a model without weights");
    const program = new CpuProgram(this.#cpu);
    try {
      const weights = modelWeights(CPU_PARTS, this.#config, {
        matrix: (name) => required(this.#matrices, name),
        vector: (name) => required(this.#vectors, name),
        derived: (name, shape, record) => {
          const tensor = createCpuTensor(this.#cpu, name, shape);
          this.#vectors.set(name, tensor);
          record(program, tensor);
          return tensor;
        },
      });
      program.run();
      const loaded = {
        weights,
        sizeBytes: this.#sizeBytes,
        [Symbol.dispose]: () => this.#free(),
      };
      const settings = { choosesThreads: this.#choosesThreads };
      const executor = new CpuExecutor(this.#cpu, this.#config, loaded, settings);
      this.#finished = true;
      return executor;
    } finally {
      program[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    if (!this.#finished) this.#free();
  }

  #free(): void {
    for (const tensors of [this.#matrices, this.#vectors]) {
      for (const tensor of tensors.values()) tensor[Symbol.dispose]();
      tensors.clear();
    }
    this.#cpu[Symbol.dispose]();
  }
}

function required<T>(tensors: Map<string, T>, name: string): T {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new TypeError(`Cannot find the weight "${name}"`);
  return tensor;
}
