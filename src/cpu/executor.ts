/** The executor on the CPU. */

import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, logitCount } from "../model/ends.ts";
import {
  type Draws,
  type Executor,
  type ExecutorState,
  type ForwardOptions,
  requireLive,
  type StateArray,
} from "../model/executor.ts";
import { encodeSettings, NO_TOKEN, RING, type SamplerSettings } from "../model/sampler.ts";
import { keptParts } from "../model/state_layout.ts";
import { describeCpu } from "./describe_cpu.ts";
import type { Cpu } from "./module.ts";
import { MATVEC_MAX_ROWS } from "./ops/linear.ts";
import type { CpuProgram } from "./program.ts";
import { type PieceOutput, Programs } from "./programs.ts";
import { asOurs, CpuState } from "./state.ts";
import { ThreadChoice } from "./thread_choice.ts";
import { Turns } from "./turns.ts";
import type { LoadedWeights } from "./weights.ts";

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
  readonly #programs: Programs;
  /** Undefined where the caller says how many threads work. */
  readonly #threads: ThreadChoice | undefined;
  #disposed = false;

  constructor(
    cpu: Cpu,
    config: ModelConfig,
    loaded: LoadedWeights,
    { choosesThreads }: { readonly choosesThreads: boolean },
  ) {
    this.#cpu = cpu;
    this.config = config;
    this.#loaded = loaded;
    this.#programs = new Programs(cpu, config, loaded.weights);
    this.#threads = choosesThreads ? new ThreadChoice(cpu) : undefined;
  }

  get device(): string {
    return describeCpu(this.#cpu, this.#threads !== undefined);
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
    this.#programs.activations.requireBatch(batch);
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
      (kind === "linear" ? this.#programs.stepActivations.inputs : ours.tokens).write(inputs);
      this.#runSteps(this.#programs.step(ours), 1);
      onProgress?.(1);
      return wanted === "last" ? ours.logits.read() : undefined;
    }
    const count = logitCount(this.config);
    const { activations, maxLogitRows } = this.#programs;
    const most = wanted === "all" ? Math.floor(maxLogitRows / batch) : Infinity;
    const stepsAtOnce = Math.max(1, Math.min(activations.stepsAtOnce(batch), most));
    const all = wanted === "all" ? new Float32Array(batch * seqlen * count) : undefined;
    const turns = new Turns();
    for (let start = 0; start < seqlen; start += stepsAtOnce) {
      const steps = Math.min(stepsAtOnce, seqlen - start);
      await turns.take();
      this.#runPiece(ours, inputs, { batch, seqlen, start, steps }, wanted);
      const logits = all && this.#programs.logits.view(0, [batch * steps * count]).read();
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
    const { targets, scores, maxLogitRows } = this.#programs;
    const seqlen = ids.length;
    const result = new Float32Array(seqlen * 3);
    const turns = new Turns();
    for (let start = 0; start < seqlen; start += maxLogitRows) {
      const steps = Math.min(maxLogitRows, seqlen - start);
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
    const { targets, scores } = this.#programs;
    targets.write(new Uint32Array([id]));
    this.#programs.scoreNext(ours).run();
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
    if (!options.consumeFirst) this.#programs.draw(ours).run();
    const further = options.consumeFirst ? steps : steps - 1;
    if (further > 0) this.#runSteps(this.#programs.stepAndDraw(ours), further);
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
    this.#programs[Symbol.dispose]();
    this.#loaded[Symbol.dispose]();
  }

  #runSteps(program: CpuProgram, steps: number): void {
    if (this.#threads === undefined) program.run(steps);
    else this.#threads.run(steps, () => program.run(steps));
  }

  /** Runs steps of all sequences, from their places in `inputs`. */
  #runPiece(
    state: CpuState,
    inputs: Uint32Array | Float32Array,
    { batch, seqlen, start, steps }: Piece,
    output: PieceOutput,
  ): void {
    // Other work had its turn meanwhile, and may have freed what this one needs.
    requireLive(this, "run the model");
    if (state.isDisposed) throw new TypeError("Cannot run the model: the state is disposed");
    const target = this.#programs.activations.of(batch).inputs;
    const width = inputWidth(this.config);
    for (let b = 0; b < batch; b++) {
      const from = (b * seqlen + start) * width;
      target.write(inputs.subarray(from, from + steps * width), b * steps * width * 4);
    }
    const program = this.#programs.piece(state, steps, output);
    // Many steps have work for all threads, however few are best for one.
    const { threads, maxThreads } = this.#cpu;
    if (threads < maxThreads) this.#cpu.setThreads(maxThreads);
    program.run();
    if (threads < maxThreads) this.#cpu.setThreads(threads);
  }
}
