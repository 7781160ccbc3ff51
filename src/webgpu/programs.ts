/** Programs over a state: recorded when first needed, and kept with it. */

import type { Gpu } from "../gpu/device.ts";
import { Program } from "../gpu/program.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { logitCount } from "../model/ends.ts";
import { MATVEC_MAX_ROWS } from "../ops/linear.ts";
import { sampleFwd } from "../ops/sample.ts";
import { tokenScoreFwd } from "../ops/token_score.ts";
import { type Activations, createActivations } from "../passes/activations.ts";
import {
  inferenceTensors,
  recordBlocks,
  recordHead,
  recordLastLogits,
  recordNormF,
} from "../passes/forward.ts";
import type { Platform } from "../passes/platform.ts";
import type { ModelWeights } from "../passes/weights.ts";
import { WebGpuState } from "./executor_state.ts";
import type { WebGpuKinds } from "./op_set.ts";
import { webgpuPlatform } from "./platform.ts";
import { SequenceActivations } from "./sequence_activations.ts";

/** Logits of a chunk may take this much: 50280 of them for 256 steps. */
const LOGITS_BYTES = 50 * 2 ** 20;

/**
 * Programs for pieces that are kept of each kind: of the usual length, and of what a sequence ends with. A kind's take
 * the same memory, whatever their lengths, so that a state's does not grow with what it consumes.
 */
const KEPT_LENGTHS = 2;

/** What a piece of a sequence gives, beside the state. */
export type PieceOutput = "none" | "all" | "score";

/** Records what an executor runs, and holds what all states' programs work in. */
export class Programs implements Disposable {
  /** For single steps of few sequences. */
  readonly stepActivations: Activations<WebGpuKinds>;
  /** For everything else. */
  readonly activations: SequenceActivations;
  /** The most rows whose logits there is place for. */
  readonly maxLogitRows: number;
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  readonly #weights: ModelWeights<WebGpuKinds>;
  readonly #platform: Platform<WebGpuKinds>;
  #guest: WebGpuState | undefined;
  #logits: Tensor | undefined;
  #targets: Tensor | undefined;
  #scores: Tensor | undefined;

  constructor(gpu: Gpu, config: ModelConfig, weights: ModelWeights<WebGpuKinds>) {
    this.#gpu = gpu;
    this.#config = config;
    this.#weights = weights;
    this.#platform = webgpuPlatform(gpu);
    this.stepActivations = createActivations(this.#platform, config, {
      rows: MATVEC_MAX_ROWS,
      batch: 0,
    });
    this.activations = new SequenceActivations(gpu, config);
    const logitBytes = Math.min(LOGITS_BYTES, gpu.device.limits.maxStorageBufferBindingSize);
    const rows = Math.floor(logitBytes / (logitCount(config) * 4));
    this.maxLogitRows = Math.max(1, Math.min(this.activations.maxRows(1), rows));
  }

  /** Logits (rows, n) of the piece that gave all of them last. */
  get logits(): Tensor {
    return this.#logits ??= createTensor(this.#gpu, "logits", [
      this.maxLogitRows,
      logitCount(this.#config),
    ]);
  }

  /** What scoring compares with (rows). */
  get targets(): Tensor {
    return this.#targets ??= createTensor(this.#gpu, "targets", [this.maxLogitRows]);
  }

  /** What it gives (rows, 3). */
  get scores(): Tensor {
    return this.#scores ??= createTensor(this.#gpu, "scores", [this.maxLogitRows, 3]);
  }

  /**
   * Where a state's sequences run: one sequence goes to a state that all of them share and back, as to make the bind groups
   * of programs over a state takes milliseconds, and to copy one some microseconds.
   */
  placeOf(state: WebGpuState): WebGpuState {
    if (state.batch > 1) return state;
    return this.#guest ??= new WebGpuState(this.#gpu, this.#config, 1);
  }

  /**
   * One step of every sequence: the input is in state.tokens, or in the activations.
   *
   * @param activations Of as many rows; for few, default those that all states share.
   */
  step(state: WebGpuState, activations = this.stepActivations): Program {
    if (state.stepProgram !== undefined) return state.stepProgram;
    const program = new Program(this.#gpu);
    const { logits, tokens } = state.parts;
    const hasIds = this.#config.input.kind === "embedding";
    const inputs = hasIds ? tokens : undefined;
    const tensors = inferenceTensors(this.#weights, state.parts, activations, inputs);
    const shape = { batch: state.batch, seqlen: 1, isStep: true };
    recordBlocks(this.#platform, program, this.#config, tensors, shape);
    if (tensors.pool_state !== undefined) {
      recordNormF(this.#platform, program, this.#config, tensors, shape);
    }
    recordLastLogits(this.#platform, program, this.#config, tensors, { ...shape, logits });
    state.stepProgram = program;
    return program;
  }

  /** One draw of every sequence, from the logits that the state has. */
  sample(state: WebGpuState): Program {
    if (state.sampleProgram !== undefined) return state.sampleProgram;
    const { head, real_vocab_size } = this.#config;
    const { seen, logits, tokens, draws, ring } = state.parts;
    if (head.kind !== "lm" || seen === undefined) {
      throw new TypeError("Cannot draw tokens: this model is a classifier");
    }
    const program = new Program(this.#gpu);
    sampleFwd(
      program,
      { settings: state.settings, logits, seen, tokens, draws, ring },
      { batch: state.batch, vocab_size: head.vocab_size, real_vocab_size, label: "sample" },
    );
    state.sampleProgram = program;
    return program;
  }

  /** `steps` steps of all sequences, whose inputs are in the activations for that many sequences. */
  piece(state: WebGpuState, steps: number, output: PieceOutput): Program {
    return this.#kept(state, `${output} ${steps}`, { sameBits: true }, (program) => {
      const tensors = inferenceTensors(
        this.#weights,
        state.parts,
        this.activations.of(state.batch),
      );
      const shape = { batch: state.batch, seqlen: steps };
      const wantsAll = output !== "none";
      recordBlocks(this.#platform, program, this.#config, tensors, shape);
      if (wantsAll || tensors.pool_state !== undefined) {
        recordNormF(this.#platform, program, this.#config, tensors, shape);
      }
      if (wantsAll) {
        recordHead(this.#platform, program, tensors, this.logits, { rows: state.batch * steps });
      }
      if (output === "score") this.#recordScore(program, this.logits, steps);
      // Whatever was asked for, the state has its logits afterwards: the next call may draw from them.
      const { logits } = state.parts;
      recordLastLogits(this.#platform, program, this.#config, tensors, { ...shape, logits });
    });
  }

  /** Scores one target under the logits that the state has. */
  scoreNext(state: WebGpuState): Program {
    const { logits } = state.parts;
    return this.#kept(state, "next", {}, (program) => this.#recordScore(program, logits, 1));
  }

  [Symbol.dispose](): void {
    this.#guest?.[Symbol.dispose]();
    this.stepActivations[Symbol.dispose]();
    this.activations[Symbol.dispose]();
    this.#logits?.[Symbol.dispose]();
    this.#targets?.[Symbol.dispose]();
    this.#scores?.[Symbol.dispose]();
  }

  #kept(
    state: WebGpuState,
    key: string,
    options: { readonly sameBits?: boolean },
    record: (program: Program) => void,
  ): Program {
    const { chunkPrograms } = state;
    const kept = chunkPrograms.get(key);
    if (kept !== undefined) return kept;
    const program = new Program(this.#gpu, options);
    record(program);
    const [kind = ""] = key.split(" ");
    const alike = [...chunkPrograms].filter(([other]) => other.startsWith(`${kind} `));
    for (const [oldest, old] of alike.slice(0, 1 - KEPT_LENGTHS)) {
      chunkPrograms.delete(oldest);
      old[Symbol.dispose]();
    }
    chunkPrograms.set(key, program);
    return program;
  }

  #recordScore(program: Program, logits: Tensor, rows: number): void {
    const { head, real_vocab_size } = this.#config;
    if (head.kind !== "lm") throw new TypeError("Cannot score tokens: this model is a classifier");
    tokenScoreFwd(
      program,
      { logits, targets: this.targets, y: this.scores },
      { rows, vocab_size: head.vocab_size, real_vocab_size, label: "token_score" },
    );
  }
}
