/** Whole steps of one sequence, any number of them, in one dispatch. */

import type { Gpu } from "../../gpu/device.ts";
import { type BufferRange, type Copy, encode, Program } from "../../gpu/program.ts";
import { createTensor, Tensor } from "../../gpu/tensor.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import { isMamba1 } from "../../model/mixers/mamba1.ts";
import { isMamba2 } from "../../model/mixers/mamba2.ts";
import { RING, SETTINGS_WORDS } from "../../model/sampler.ts";
import { placeholders } from "../../ops/placeholders.ts";
import { REQUEST, TIMED_OUT } from "../../ops/step.ts";
import type { WebGpuState } from "../executor_state.ts";
import type { State } from "../state.ts";
import type { ModelWeights } from "../../passes/weights.ts";
import type { WebGpuKinds } from "../op_set.ts";
import { planMamba2 } from "./mamba2.ts";
import { planMamba1 } from "./mamba1.ts";
import { PlacesError } from "./places.ts";
import { carriedStart, requireFit, type StepPlan, type StepTuning } from "./plan.ts";

/** What a dispatch is to do. */
export interface StepRequest {
  readonly steps: number;
  /** Whether the first step consumes the pending token; otherwise it only draws. */
  readonly consumeFirst: boolean;
  /** Whether a token is drawn after each. */
  readonly draw: boolean;
  /** Input vectors, where inputs are no ids. */
  readonly inputs?: Float32Array | undefined;
}

/** What a step works on. */
export interface StepState {
  /** Of one sequence. */
  readonly parts: State;
  readonly settings: Tensor;
}

/** How often a workgroup looks for the others before it gives up. */
const PATIENCE = 2 ** 15;

/** The kernel of whole steps of a model, with what it works in. */
export class FusedStep implements Disposable {
  /** How the work is divided. */
  readonly plan: StepPlan;
  readonly #gpu: Gpu;
  readonly #buffers: readonly Tensor[];
  readonly #request: Tensor;
  readonly #exchange: Tensor;
  /** They hold nothing that would have to be freed. */
  readonly #programs = new WeakMap<State, Program>();
  readonly #patience: number;

  /**
   * @throws {PlacesError} If this model or device cannot have it.
   */
  constructor(
    gpu: Gpu,
    config: ModelConfig,
    weights: ModelWeights<WebGpuKinds>,
    tuning: StepTuning,
    patience: number = PATIENCE,
  ) {
    this.#gpu = gpu;
    this.#patience = patience;
    this.plan = planOf(config, weights, tuning);
    requireFit(gpu, this.plan);
    this.#buffers = this.plan.buffers.map((buffer) =>
      new Tensor(gpu, buffer, [buffer.size / 4], {
        offset: 0,
        sizeBytes: buffer.size,
        owner: false,
      })
    );
    this.#request = createTensor(gpu, "request", [REQUEST.inputs + this.plan.inputWords]);
    this.#exchange = createTensor(gpu, "exchange", [this.plan.exchangeWords]);
  }

  /**
   * Draws tokens one after the other.
   *
   * @returns The bytes of the ring, or undefined if workgroups waited for each other in vain: the state is lost then.
   */
  async draw(
    state: WebGpuState,
    steps: number,
    consumeFirst: boolean,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const request = { steps, consumeFirst, draw: true };
    return await this.#read(state, request, state.parts.ring, RING * 8);
  }

  /**
   * Makes one step.
   *
   * @returns Its logits, or undefined as above.
   */
  async step(
    state: WebGpuState,
    input: Uint32Array | Float32Array,
    logits: number,
  ): Promise<Float32Array | undefined> {
    const isIds = input instanceof Uint32Array;
    if (isIds) state.parts.tokens.write(input);
    const request = {
      ...{ steps: 1, consumeFirst: true, draw: false },
      inputs: isIds ? undefined : input,
    };
    const bytes = await this.#read(state, request, state.parts.logits, logits * 4);
    return bytes && new Float32Array(bytes.buffer, bytes.byteOffset, logits);
  }

  async #read(
    state: WebGpuState,
    request: StepRequest,
    from: Tensor,
    sizeBytes: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const staging = await state.staging(sizeBytes + 4);
    const { buffer } = staging;
    const commands = this.encode(state, request, [
      { from, to: { buffer, offset: 0 }, sizeBytes },
      this.timedOut({ buffer, offset: sizeBytes }),
    ]);
    this.#gpu.device.queue.submit([commands]);
    const bytes = await staging.read(sizeBytes + 4);
    return bytes.subarray(sizeBytes).some((byte) => byte !== 0) ? undefined : bytes;
  }

  /** Commands for a request, and for copies after it. What is asked for holds for the next submit alone. */
  encode(
    state: StepState,
    { steps, consumeFirst, draw, inputs }: StepRequest,
    after: readonly Copy[] = [],
  ): GPUCommandBuffer {
    const words = new Uint32Array(REQUEST.settings);
    words[REQUEST.steps] = steps;
    words[REQUEST.consumeFirst] = Number(consumeFirst);
    words[REQUEST.draw] = Number(draw);
    words[REQUEST.patience] = this.#patience;
    this.#request.write(words);
    if (inputs !== undefined) this.#request.write(inputs, 4 * REQUEST.inputs);
    const settings = {
      from: state.settings,
      to: { buffer: this.#request.buffer, offset: 4 * REQUEST.settings },
      sizeBytes: 4 * SETTINGS_WORDS,
    };
    return encode(this.#gpu, [this.programOf(state)], {
      before: [settings],
      after,
      clear: this.cleared,
    });
  }

  /** What must be cleared before each dispatch. */
  get cleared(): BufferRange[] {
    return [{ buffer: this.#exchange.buffer, offset: 0, sizeBytes: this.#exchange.sizeBytes }];
  }

  /** What copies the word that is not 0 if a workgroup waited in vain. */
  timedOut(to: Copy["to"]): Copy {
    return { from: { buffer: this.#exchange.buffer, offset: 4 * TIMED_OUT }, to, sizeBytes: 4 };
  }

  /** The dispatch itself. */
  programOf({ parts }: StepState): Program {
    let program = this.#programs.get(parts);
    if (program === undefined) {
      program = this.#record(parts);
      this.#programs.set(parts, program);
    }
    return program;
  }

  [Symbol.dispose](): void {
    this.#request[Symbol.dispose]();
    this.#exchange[Symbol.dispose]();
  }

  #record({ buffer, layout, batch }: State): Program {
    if (batch !== 1) {
      throw new RangeError(
        `Cannot run whole steps: the state is of ${batch} sequences, expected 1`,
      );
    }
    const { kernel, overrides, groups } = this.plan;
    const start = carriedStart(layout);
    const { read } = placeholders(this.#gpu);
    const [weights_0 = read, weights_1 = read, weights_2 = read] = this.#buffers;
    const program = new Program(this.#gpu);
    program.add(kernel, {
      tensors: {
        ...{ weights_0, weights_1, weights_2, request: this.#request, exchange: this.#exchange },
        session: buffer.view(0, [start / 4]),
        carried: buffer.view(start, [(layout.sizeBytes - start) / 4]),
      },
      overrides,
      params: {},
      workgroups: [groups, 1, 1],
      label: "steps",
    });
    return program;
  }
}

/** Whether there is a kernel of whole steps for such a model. */
export function hasKernel(config: ModelConfig): boolean {
  return isMamba1(config) || isMamba2(config);
}

function planOf(
  config: ModelConfig,
  weights: ModelWeights<WebGpuKinds>,
  tuning: StepTuning,
): StepPlan {
  if (isMamba1(config)) return planMamba1(config, weights, tuning);
  if (isMamba2(config)) return planMamba2(config, weights, tuning);
  throw new PlacesError(`there is no kernel for a model of type "${config.model_type}"`);
}
