/** How weights come onto a WebGPU device. */

import { type Gpu, openGpu } from "../gpu/device.ts";
import { encode, Program } from "../gpu/program.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "../model/config/config.ts";
import type { Executor, WeightRows, WeightSink } from "../model/executor.ts";
import { elementCount } from "../model/shapes.ts";
import type { StepChoice } from "../model/step_choice.ts";
import type { LoadPlan, PlannedWeight } from "../model/weights/load_plan.ts";
import { writeMatrixRows } from "../ops/matrix.ts";
import { type ModelWeights, modelWeights } from "../passes/weights.ts";
import { requireRoom, withinMemory } from "./device_memory.ts";
import { WebGpuExecutor } from "./executor.ts";
import { chooseStep } from "./fused/choose_step.ts";
import type { WebGpuKinds } from "./op_set.ts";
import { WEBGPU_PARTS } from "./platform.ts";
import { allocateWeights, type WeightTensors } from "./weight_arena.ts";

/** The queue keeps what is written until it is copied: at most about two of these. */
const UNFLUSHED_BYTES = 16 * 2 ** 20;

/**
 * Opens a device to load a model onto.
 *
 * @param device A device of the caller's to use instead; it is not destroyed with the model.
 * @param step How single steps run.
 * @throws {UnsupportedDeviceError} If there is no adapter.
 */
export async function openWeightSink(
  device?: GPUDevice,
  step: StepChoice = "auto",
): Promise<WeightSink> {
  const gpu = await openGpu(device);
  return new WebGpuWeightSink(gpu, () => gpu[Symbol.dispose](), step);
}

/** Allocates a model's tensors on the GPU and fills them. */
export class WebGpuWeightSink implements WeightSink {
  readonly #gpu: Gpu;
  readonly #release: () => void;
  readonly #step: StepChoice;
  #tensors: WeightTensors | undefined;
  /** What is made of the weights. */
  readonly #derived: Tensor[] = [];
  #plan: LoadPlan | undefined;
  #unflushedBytes = 0;
  #flushed: Promise<unknown> | undefined;
  #finished = false;

  /** `release` is called when all weights are freed, by the sink or by the executor that it became. */
  constructor(gpu: Gpu, release: () => void = () => {}, step: StepChoice = "list") {
    this.#gpu = gpu;
    this.#step = step;
    this.#release = release;
  }

  async allocate(plan: LoadPlan): Promise<void> {
    WEBGPU_PARTS.requireSupported(plan.config);
    requireRoom(this.#gpu, plan.config, plan);
    await withinMemory(this.#gpu, () => {
      this.#tensors = allocateWeights(this.#gpu, plan.config, plan.weights);
    }, plan);
    this.#plan = plan;
  }

  writeRows({ spec }: PlannedWeight, firstRow: number, rows: WeightRows): void {
    if (spec.kind === "matrix") {
      writeMatrixRows(required(this.#tensors?.matrices, spec.name), firstRow, rows);
    } else if (rows instanceof Float32Array) {
      const offset = firstRow * elementCount(spec.shape.slice(1)) * 4;
      required(this.#tensors?.vectors, spec.name).write(rows, offset);
    } else throw new TypeError(`Cannot write "${spec.name}": it takes floats`);
    this.#unflushedBytes += sizeOf(rows);
  }

  /** It is the flush before that is waited for, so that the next piece is read meanwhile. */
  async flush(): Promise<void> {
    if (this.#unflushedBytes < UNFLUSHED_BYTES) return;
    this.#unflushedBytes = 0;
    const { queue } = this.#gpu.device;
    queue.submit([]);
    const copied = queue.onSubmittedWorkDone();
    await this.#flushed;
    this.#flushed = copied;
    this.#gpu.check();
  }

  async finish(): Promise<Executor> {
    this.#gpu.check();
    if (this.#plan === undefined) throw new TypeError("Cannot run a model without weights");
    const { config, weightBytes } = this.#plan;
    const weights = this.#place(config);
    const executor = new WebGpuExecutor(this.#gpu, config, {
      weights,
      sizeBytes: weightBytes,
      [Symbol.dispose]: () => this.#free(),
    });
    this.#finished = true;
    try {
      executor.stepNote = await chooseStep(this.#gpu, executor, weights, this.#step);
    } catch (error) {
      executor[Symbol.dispose]();
      throw error;
    }
    return executor;
  }

  /** The weights where passes look for them, and what is made of them. */
  #place(config: ModelConfig): ModelWeights<WebGpuKinds> {
    const program = new Program(this.#gpu);
    try {
      const weights = modelWeights(WEBGPU_PARTS, config, {
        matrix: (name) => required(this.#tensors?.matrices, name),
        vector: (name) => required(this.#tensors?.vectors, name),
        derived: (name, shape, record) => {
          const tensor = createTensor(this.#gpu, name, shape);
          this.#derived.push(tensor);
          record(program, tensor);
          return tensor;
        },
      });
      if (program.length > 0) this.#gpu.device.queue.submit([encode(this.#gpu, [program])]);
      return weights;
    } finally {
      program[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    if (!this.#finished) this.#free();
  }

  #free(): void {
    for (const tensor of this.#derived) tensor[Symbol.dispose]();
    this.#derived.length = 0;
    this.#tensors?.[Symbol.dispose]();
    this.#tensors = undefined;
    this.#release();
  }
}

function required<T>(tensors: ReadonlyMap<string, T> | undefined, name: string): T {
  const tensor = tensors?.get(name);
  if (tensor === undefined) throw new TypeError(`Cannot find the weight "${name}"`);
  return tensor;
}

function sizeOf(rows: WeightRows): number {
  if (ArrayBuffer.isView(rows)) return rows.byteLength;
  return (rows.codes?.byteLength ?? 0) + (rows.scales?.byteLength ?? 0);
}
