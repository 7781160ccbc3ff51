/** Programs over a state: recorded when first needed, and kept with it. */

import type { ModelConfig } from "../model/config/config.ts";
import { logitCount } from "../model/ends.ts";
import type { LogitsWanted } from "../model/executor.ts";
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
import type { Cpu } from "./machine/module.ts";
import type { CpuKinds } from "./op_set.ts";
import { MATVEC_MAX_ROWS } from "./ops/linear.ts";
import { sampleFwd } from "./ops/sample.ts";
import { tokenScoreFwd } from "./ops/token_score.ts";
import { cpuPlatform } from "./platform.ts";
import { CpuProgram } from "./machine/program.ts";
import { SequenceActivations } from "./sequence_activations.ts";
import type { CpuState } from "./state.ts";
import { type CpuTensor, createCpuTensor } from "./machine/tensor.ts";

/** Logits of a piece may take this much: 50280 of them for 96 steps, as many as there are at once. */
const LOGITS_BYTES = 19 * 2 ** 20;

/**
 * Programs for pieces that are kept of each kind: of the usual length, and of what a sequence ends with. A kind's take
 * the same memory, whatever their lengths, so that a state's does not grow with what it consumes.
 */
const KEPT_LENGTHS = 2;

/** What a piece of a sequence gives, beside the state. */
export type PieceOutput = LogitsWanted | "score";

/** Records what an executor runs, and holds what all states' programs work in. */
export class Programs implements Disposable {
  /** For single steps of few sequences. */
  readonly stepActivations: Activations<CpuKinds>;
  /** For everything else. */
  readonly activations: SequenceActivations;
  /** The most rows whose logits there is place for. */
  readonly maxLogitRows: number;
  readonly #cpu: Cpu;
  readonly #config: ModelConfig;
  readonly #weights: ModelWeights<CpuKinds>;
  readonly #platform: Platform<CpuKinds>;
  #logits: CpuTensor | undefined;
  #targets: CpuTensor | undefined;
  #scores: CpuTensor | undefined;

  constructor(cpu: Cpu, config: ModelConfig, weights: ModelWeights<CpuKinds>) {
    this.#cpu = cpu;
    this.#config = config;
    this.#weights = weights;
    this.#platform = cpuPlatform(cpu);
    this.stepActivations = createActivations(this.#platform, config, {
      rows: MATVEC_MAX_ROWS,
      batch: 0,
    });
    this.activations = new SequenceActivations(cpu, config);
    const rows = Math.floor(LOGITS_BYTES / (logitCount(config) * 4));
    this.maxLogitRows = Math.max(1, Math.min(this.activations.stepsAtOnce(1), rows));
  }

  /** Logits (rows, n) of the piece that gave all of them last. */
  get logits(): CpuTensor {
    return this.#logits ??= createCpuTensor(this.#cpu, "logits", [
      this.maxLogitRows,
      logitCount(this.#config),
    ]);
  }

  /** What scoring compares with (rows). */
  get targets(): CpuTensor {
    return this.#targets ??= createCpuTensor(this.#cpu, "targets", [this.maxLogitRows]);
  }

  /** What it gives (rows, 3). */
  get scores(): CpuTensor {
    return this.#scores ??= createCpuTensor(this.#cpu, "scores", [this.maxLogitRows, 3]);
  }

  /**
   * One step of every sequence: the input is in state.tokens, or in the activations.
   *
   * @param activations Of as many rows; for few, default those that all states share.
   */
  step(state: CpuState, activations = this.stepActivations): CpuProgram {
    return this.#kept(state, "step", (program) => this.#recordStep(program, state, activations));
  }

  /** One draw from the logits that the state has. */
  draw(state: CpuState): CpuProgram {
    return this.#kept(state, "draw", (program) => this.#recordDraw(program, state));
  }

  /** A step with the token that is pending, and a draw. */
  stepAndDraw(state: CpuState, activations = this.stepActivations): CpuProgram {
    return this.#kept(state, "step, draw", (program) => {
      this.#recordStep(program, state, activations);
      this.#recordDraw(program, state);
    });
  }

  /** `steps` steps of all sequences, whose inputs are in the activations for that many sequences. */
  piece(state: CpuState, steps: number, output: PieceOutput): CpuProgram {
    // Whatever was asked for, the state has its logits afterwards: the next call may draw from them.
    const extra = output === "last" ? "none" : output;
    return this.#kept(state, `${extra} ${steps}`, (program) => {
      const { batch, logits } = state;
      const tensors = inferenceTensors(this.#weights, state, this.activations.of(batch));
      const shape = { batch, seqlen: steps };
      const wantsAll = extra !== "none";
      recordBlocks(this.#platform, program, this.#config, tensors, shape);
      if (wantsAll || tensors.pool_state !== undefined) {
        recordNormF(this.#platform, program, this.#config, tensors, shape);
      }
      if (wantsAll) {
        recordHead(this.#platform, program, tensors, this.logits, { rows: batch * steps });
      }
      if (extra === "score") this.#recordScore(program, this.logits, steps);
      recordLastLogits(this.#platform, program, this.#config, tensors, { ...shape, logits });
    });
  }

  /** Scores one target under the logits that the state has. */
  scoreNext(state: CpuState): CpuProgram {
    const { logits } = state;
    return this.#kept(state, "score", (program) => this.#recordScore(program, logits, 1));
  }

  [Symbol.dispose](): void {
    this.stepActivations[Symbol.dispose]();
    this.activations[Symbol.dispose]();
    this.#logits?.[Symbol.dispose]();
    this.#targets?.[Symbol.dispose]();
    this.#scores?.[Symbol.dispose]();
  }

  #kept(state: CpuState, name: string, record: (program: CpuProgram) => void): CpuProgram {
    const { programs } = state;
    const kept = programs.get(name);
    if (kept !== undefined) return kept;
    const program = new CpuProgram(this.#cpu);
    record(program);
    const [kind = ""] = name.split(" ");
    const alike = [...programs].filter(([other]) =>
      /\d$/.test(other) && other.startsWith(`${kind} `)
    );
    for (const [oldest, old] of alike.slice(0, 1 - KEPT_LENGTHS)) {
      programs.delete(oldest);
      old[Symbol.dispose]();
    }
    programs.set(name, program);
    return program;
  }

  #recordStep(
    program: CpuProgram,
    state: CpuState,
    activations: Activations<CpuKinds>,
  ): void {
    const { batch, tokens, logits } = state;
    const hasIds = this.#config.input.kind === "embedding";
    const inputs = hasIds ? tokens : undefined;
    const tensors = inferenceTensors(this.#weights, state, activations, inputs);
    const shape = { batch, seqlen: 1, isStep: true };
    recordBlocks(this.#platform, program, this.#config, tensors, shape);
    if (tensors.pool_state !== undefined) {
      recordNormF(this.#platform, program, this.#config, tensors, shape);
    }
    recordLastLogits(this.#platform, program, this.#config, tensors, { ...shape, logits });
  }

  #recordDraw(
    program: CpuProgram,
    { batch, settings, logits, seen, tokens, draws, ring }: CpuState,
  ): void {
    const { head, real_vocab_size } = this.#config;
    if (head.kind !== "lm" || seen === undefined) {
      throw new TypeError("Cannot draw tokens: this model is a classifier");
    }
    sampleFwd(
      program,
      { settings, logits, seen, tokens, draws, ring },
      { batch, vocab_size: head.vocab_size, real_vocab_size, label: "sample" },
    );
  }

  #recordScore(program: CpuProgram, logits: CpuTensor, rows: number): void {
    const { head, real_vocab_size } = this.#config;
    if (head.kind !== "lm") throw new TypeError("Cannot score tokens: this model is a classifier");
    tokenScoreFwd(
      program,
      { logits, targets: this.targets, y: this.scores },
      { rows, vocab_size: head.vocab_size, real_vocab_size, label: "token_score" },
    );
  }
}
