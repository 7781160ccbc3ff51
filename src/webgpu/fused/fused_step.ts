/** Whole steps of one sequence, any number of them, in one dispatch. */

import type { Gpu } from "../../gpu/device.ts";
import { type BufferRange, type Copy, encode, Program } from "../../gpu/program.ts";
import { createTensor, Tensor } from "../../gpu/tensor.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import { isMamba1 } from "../../model/mixers/mamba1.ts";
import { SETTINGS_WORDS } from "../../model/sampler.ts";
import { placeholders } from "../../ops/placeholders.ts";
import { CLEARED_WORDS, REQUEST, TIMED_OUT } from "../../ops/step.ts";
import type { State } from "../state.ts";
import type { ModelWeights } from "../weights.ts";
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

/** How often a workgroup looks for the others before it gives up: some tenths of a second on an H100. */
const PATIENCE = 2 ** 19;

/** The kernel of whole steps of a model, with what it works in. */
export class FusedStep implements Disposable {
  /** How the work is divided. */
  readonly plan: StepPlan;
  readonly #gpu: Gpu;
  readonly #buffers: readonly Tensor[];
  readonly #request: Tensor;
  readonly #exchange: Tensor;
  readonly #programs = new Map<State, Program>();
  readonly #patience: number;

  /**
   * @throws {PlacesError} If this model or device cannot have it.
   */
  constructor(
    gpu: Gpu,
    config: ModelConfig,
    weights: ModelWeights,
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
    return [{ buffer: this.#exchange.buffer, offset: 0, sizeBytes: 4 * CLEARED_WORDS }];
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

  /** Forgets a state. */
  forget({ parts }: StepState): void {
    this.#programs.get(parts)?.[Symbol.dispose]();
    this.#programs.delete(parts);
  }

  [Symbol.dispose](): void {
    for (const program of this.#programs.values()) program[Symbol.dispose]();
    this.#programs.clear();
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

function planOf(config: ModelConfig, weights: ModelWeights, tuning: StepTuning): StepPlan {
  if (isMamba1(config)) return planMamba1(config, weights, tuning);
  throw new PlacesError(`there is no kernel for a model of type "${config.model_type}"`);
}
