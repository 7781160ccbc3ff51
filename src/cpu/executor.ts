/** The executor on the CPU. */

import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, logitCount } from "../model/ends.ts";
import type {
  Draws,
  Executor,
  ExecutorState,
  ForwardOptions,
  LogitsWanted,
  StateArray,
} from "../model/executor.ts";
import { encodeSettings, NO_TOKEN, RING, type SamplerSettings } from "../model/sampler.ts";
import { keptParts } from "../model/state_layout.ts";
import { type Activations, createActivations } from "./activations.ts";
import { recordAllLogits, recordBlocks, recordLastLogits } from "./forward.ts";
import { describeCpu } from "./describe_cpu.ts";
import type { Cpu } from "./module.ts";
import { MATVEC_MAX_ROWS } from "./ops/linear.ts";
import { sampleFwd } from "./ops/sample.ts";
import { tokenScoreFwd } from "./ops/token_score.ts";
import { CpuProgram } from "./program.ts";
import { SequenceActivations } from "./sequence_activations.ts";
import { asOurs, CpuState } from "./state.ts";
import { type CpuTensor, createCpuTensor } from "./tensor.ts";
import { ThreadTuner } from "./thread_tuner.ts";
import { Turns } from "./turns.ts";
import type { LoadedWeights } from "./weights.ts";

/** Logits of a piece may take this much: 50280 of them for 128 steps. */
const LOGITS_BYTES = 25 * 2 ** 20;

/** Programs of a state that are kept: those of a step, of a draw, and of sequences of a few lengths. */
const KEPT_PROGRAMS = 8;

type PieceOutput = LogitsWanted | "score";

/** Part of some sequences: steps [start, start + steps) of each. */
interface Piece {
  readonly batch: number;
  readonly seqlen: number;
  readonly start: number;
  readonly steps: number;
}

/** Runs a model on the CPU. It owns the weights, and what frees them frees the module. */
export class CpuExecutor implements Executor {
  readonly backend = "cpu";
  readonly config: ModelConfig;
  readonly maxDraws: number = RING;
  readonly #cpu: Cpu;
  readonly #loaded: LoadedWeights;
  /** For single steps of few sequences. */
  readonly #stepActivations: Activations;
  /** For everything else. */
  readonly #activations: SequenceActivations;
  #pieceLogits: CpuTensor | undefined;
  #targets: CpuTensor | undefined;
  #scores: CpuTensor | undefined;
  readonly #maxLogitRows: number;
  /** Undefined where the caller says how many threads work. */
  readonly #tuner: ThreadTuner | undefined;
  #disposed = false;

  constructor(
    cpu: Cpu,
    config: ModelConfig,
    loaded: LoadedWeights,
    { tunesThreads }: { readonly tunesThreads: boolean },
  ) {
    this.#cpu = cpu;
    this.#tuner = tunesThreads ? new ThreadTuner(cpu) : undefined;
    this.config = config;
    this.#loaded = loaded;
    this.#stepActivations = createActivations(cpu, config, MATVEC_MAX_ROWS);
    this.#activations = new SequenceActivations(cpu, config);
    const rows = Math.floor(LOGITS_BYTES / (logitCount(config) * 4));
    this.#maxLogitRows = Math.max(1, Math.min(this.#activations.stepsAtOnce(1), rows));
  }

  get device(): string {
    return describeCpu(this.#cpu, this.#tuner !== undefined);
  }

  get deviceNote(): undefined {
    return undefined;
  }

  get weightBytes(): number {
    return this.#loaded.sizeBytes;
  }

  get deviceBytes(): number {
    return this.#cpu.memory.live.sizeBytes;
  }

  createState(batch: number): CpuState {
    this.#activations.requireBatch(batch);
    return new CpuState(this.#cpu, this.config, batch);
  }

  resetState(state: ExecutorState): void {
    asOurs(state).buffer.clear();
  }

  copyState(from: ExecutorState, to: ExecutorState): void {
    const [source, target] = [asOurs(from), asOurs(to)];
    if (source.batch !== target.batch) {
      throw new RangeError(
        `Cannot copy a state of ${source.batch} sequences to one of ${target.batch}`,
      );
    }
    target.buffer.copyFrom(source.buffer);
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async readState(state: ExecutorState): Promise<StateArray[]> {
    const ours = asOurs(state);
    return keptParts(ours.layout).map(({ name, dtype, shape }) => ({
      name,
      dtype,
      shape,
      bytes: ours.part(name).readBytes(),
    }));
  }

  writeState(state: ExecutorState, arrays: readonly StateArray[]): void {
    const ours = asOurs(state);
    const byName = new Map(arrays.map((array) => [array.name, array]));
    // All is checked before anything is written: half a state would be of no stream at all.
    const writes = keptParts(ours.layout).map(({ name }) => {
      const tensor = ours.part(name);
      const array = byName.get(name);
      if (array === undefined || array.bytes.length !== tensor.sizeBytes) {
        throw new RangeError(
          `Cannot write the state: "${name}" has ${array?.bytes.length ?? 0} bytes, ` +
            `and this model needs ${tensor.sizeBytes}`,
        );
      }
      return { tensor, bytes: array.bytes };
    });
    for (const { tensor, bytes } of writes) tensor.write(bytes);
  }

  setSampler(state: ExecutorState, settings: SamplerSettings): void {
    asOurs(state).settings.write(encodeSettings(settings));
  }

  setToken(state: ExecutorState, token: number, draws: number): void {
    const ours = asOurs(state);
    ours.tokens.write(new Uint32Array([token]));
    ours.draws.write(new Uint32Array([draws]));
  }

  async forward(
    state: ExecutorState,
    inputs: Uint32Array | Float32Array,
    { logits: wanted, onProgress }: ForwardOptions,
  ): Promise<Float32Array | undefined> {
    const ours = asOurs(state);
    const { batch } = ours;
    const seqlen = inputs.length / (batch * inputWidth(this.config));
    if (seqlen === 1 && wanted !== "all" && batch <= MATVEC_MAX_ROWS) {
      const { kind } = this.config.input;
      (kind === "linear" ? this.#stepActivations.inputs : ours.tokens).write(inputs);
      this.#runSteps(this.#stepProgram(ours), 1);
      onProgress?.(1);
      return wanted === "last" ? ours.logits.read() : undefined;
    }
    const count = logitCount(this.config);
    const most = wanted === "all" ? Math.floor(this.#maxLogitRows / batch) : Infinity;
    const stepsAtOnce = Math.max(1, Math.min(this.#activations.stepsAtOnce(batch), most));
    const all = wanted === "all" ? new Float32Array(batch * seqlen * count) : undefined;
    const turns = new Turns();
    for (let start = 0; start < seqlen; start += stepsAtOnce) {
      const steps = Math.min(stepsAtOnce, seqlen - start);
      await turns.take();
      this.#runPiece(ours, inputs, { batch, seqlen, start, steps }, wanted);
      const logits = all && this.#logitsTensor().view(0, [batch * steps * count]).read();
      for (let b = 0; logits !== undefined && b < batch; b++) {
        const of = logits.subarray(b * steps * count, (b + 1) * steps * count);
        all?.set(of, (b * seqlen + start) * count);
      }
      onProgress?.(start + steps);
    }
    return wanted === "last" ? ours.logits.read() : all;
  }

  async score(
    state: ExecutorState,
    ids: Uint32Array,
    following: Uint32Array,
  ): Promise<Float32Array> {
    const ours = asOurs(state);
    const { targets, scores } = this.#scoreTensors();
    const seqlen = ids.length;
    const result = new Float32Array(seqlen * 3);
    const turns = new Turns();
    for (let start = 0; start < seqlen; start += this.#maxLogitRows) {
      const steps = Math.min(this.#maxLogitRows, seqlen - start);
      await turns.take();
      targets.write(following.subarray(start, start + steps));
      this.#runPiece(ours, ids, { batch: 1, seqlen, start, steps }, "score");
      result.set(scores.view(0, [steps, 3]).read(), start * 3);
    }
    return result;
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async scoreNext(state: ExecutorState, id: number): Promise<Float32Array> {
    const ours = asOurs(state);
    const { targets, scores } = this.#scoreTensors();
    targets.write(new Uint32Array([id]));
    this.#program(ours, "score next", (program) => this.#recordScore(program, ours.logits, 1))
      .run();
    return scores.view(0, [3]).read();
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async draw(
    state: ExecutorState,
    steps: number,
    options: { readonly consumeFirst: boolean; readonly keep: ExecutorState },
  ): Promise<Draws> {
    const ours = asOurs(state);
    const [drawn = 0] = ours.draws.readWords();
    this.copyState(ours, options.keep);
    if (!options.consumeFirst) this.#drawProgram(ours).run();
    const further = options.consumeFirst ? steps : steps - 1;
    if (further > 0) this.#runSteps(this.#stepAndDrawProgram(ours), further);
    const words = ours.ring.readWords();
    const floats = new Float32Array(words.buffer);
    const ids: number[] = [];
    const logprobs: number[] = [];
    for (let draw = drawn; draw < drawn + steps; draw++) {
      const slot = 2 * (draw % RING);
      const id = words[slot] ?? NO_TOKEN;
      const logprob = floats[slot + 1] ?? NaN;
      if (id === NO_TOKEN || Number.isNaN(logprob)) {
        throw new RangeError(`Cannot draw a token: the logits of draw ${draw} are not finite`);
      }
      ids.push(id);
      logprobs.push(logprob);
    }
    return { ids, logprobs };
  }

  get isDisposed(): boolean {
    return this.#disposed;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#stepActivations[Symbol.dispose]();
    this.#activations[Symbol.dispose]();
    this.#pieceLogits?.[Symbol.dispose]();
    this.#targets?.[Symbol.dispose]();
    this.#scores?.[Symbol.dispose]();
    this.#loaded[Symbol.dispose]();
  }

  /** The state's program of that name, recorded where it is not there. */
  #program(
    state: CpuState,
    name: string,
    record: (program: CpuProgram) => void,
  ): CpuProgram {
    const kept = state.programs.get(name);
    if (kept !== undefined) return kept;
    const program = new CpuProgram(this.#cpu);
    record(program);
    for (const [oldest, old] of state.programs) {
      if (state.programs.size < KEPT_PROGRAMS) break;
      state.programs.delete(oldest);
      old[Symbol.dispose]();
    }
    state.programs.set(name, program);
    return program;
  }

  /** One step: the input is in state.tokens, or in the step's activations. */
  #stepProgram(state: CpuState): CpuProgram {
    return this.#program(state, "step", (program) => this.#recordStep(program, state));
  }

  #drawProgram(state: CpuState): CpuProgram {
    return this.#program(state, "draw", (program) => this.#recordDraw(program, state));
  }

  #stepAndDrawProgram(state: CpuState): CpuProgram {
    return this.#program(state, "step, draw", (program) => {
      this.#recordStep(program, state);
      this.#recordDraw(program, state);
    });
  }

  #recordStep(program: CpuProgram, state: CpuState): void {
    const tensors = {
      weights: this.#loaded.weights,
      state,
      activations: this.#stepActivations,
      ids: state.tokens,
    };
    const shape = { batch: state.batch, seqlen: 1 };
    recordBlocks(program, this.config, tensors, shape);
    recordLastLogits(program, this.config, tensors, shape);
  }

  #recordDraw(
    program: CpuProgram,
    { batch, settings, logits, seen, tokens, draws, ring }: CpuState,
  ): void {
    const { head, real_vocab_size } = this.config;
    if (head.kind !== "lm" || seen === undefined) {
      throw new TypeError("Cannot draw tokens: this model is a classifier");
    }
    sampleFwd(
      program,
      { settings, logits, seen, tokens, draws, ring },
      { batch, vocab_size: head.vocab_size, real_vocab_size, label: "sample" },
    );
  }

  #runSteps(program: CpuProgram, steps: number): void {
    if (this.#tuner === undefined) program.run(steps);
    else this.#tuner.run(steps, () => program.run(steps));
  }

  /** Runs steps of all sequences, from their places in `inputs`. */
  #runPiece(
    state: CpuState,
    inputs: Uint32Array | Float32Array,
    piece: Piece,
    output: PieceOutput,
  ): void {
    const { batch, seqlen, start, steps } = piece;
    const activations = this.#activations.of(batch);
    const width = inputWidth(this.config);
    for (let b = 0; b < batch; b++) {
      const from = (b * seqlen + start) * width;
      activations.inputs.write(inputs.subarray(from, from + steps * width), b * steps * width * 4);
    }
    // Matmuls have work for all threads.
    if (this.#cpu.threads < this.#cpu.maxThreads) this.#cpu.setThreads(this.#cpu.maxThreads);
    this.#pieceProgram(state, activations, steps, output).run();
  }

  #pieceProgram(
    state: CpuState,
    activations: Activations,
    steps: number,
    output: PieceOutput,
  ): CpuProgram {
    // Whatever was asked for, the state has its logits afterwards: the next call may draw from them.
    const extra = output === "last" ? "none" : output;
    return this.#program(state, `${steps} steps, ${extra}`, (program) => {
      const tensors = {
        weights: this.#loaded.weights,
        state,
        activations,
        ids: activations.inputs,
      };
      const shape = { batch: state.batch, seqlen: steps };
      recordBlocks(program, this.config, tensors, shape);
      if (extra !== "none") {
        const logits = this.#logitsTensor();
        recordAllLogits(program, this.config, tensors, { ...shape, logits });
        if (extra === "score") this.#recordScore(program, logits, steps);
      }
      recordLastLogits(program, this.config, tensors, shape);
    });
  }

  #recordScore(program: CpuProgram, logits: CpuTensor, rows: number): void {
    const { head, real_vocab_size } = this.config;
    if (head.kind !== "lm") throw new TypeError("Cannot score tokens: this model is a classifier");
    const { targets, scores } = this.#scoreTensors();
    tokenScoreFwd(
      program,
      { logits, targets, y: scores },
      { rows, vocab_size: head.vocab_size, real_vocab_size, label: "token_score" },
    );
  }

  #logitsTensor(): CpuTensor {
    return this.#pieceLogits ??= createCpuTensor(this.#cpu, "logits", [
      this.#maxLogitRows,
      logitCount(this.config),
    ]);
  }

  #scoreTensors(): { targets: CpuTensor; scores: CpuTensor } {
    this.#targets ??= createCpuTensor(this.#cpu, "targets", [this.#maxLogitRows]);
    this.#scores ??= createCpuTensor(this.#cpu, "scores", [this.#maxLogitRows, 3]);
    return { targets: this.#targets, scores: this.#scores };
  }
}
