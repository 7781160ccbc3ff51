/** The executor on the CPU. */

import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, logitCount } from "../model/ends.ts";
import {
  type DrawRequest,
  type Draws,
  type Executor,
  type ExecutorState,
  type ForwardOptions,
  type Pauses,
  type StateArray,
  type StepRequest,
  TURN_MS,
} from "../model/executor.ts";
import { Pace } from "../model/pieces.ts";
import { encodeSettings, RING, ringDraws, type SamplerSettings } from "../model/sampler.ts";
import { keptParts } from "../model/state_layout.ts";
import type { LoadedWeights } from "../passes/weights.ts";
import { describeCpu } from "./machine/describe_cpu.ts";
import type { Cpu } from "./machine/module.ts";
import type { CpuKinds } from "./op_set.ts";
import { Company, COMPANY_MAX, enterCompany, leaveCompany } from "./company.ts";
import { MATVEC_MAX_ROWS } from "./ops/linear.ts";
import type { CpuProgram } from "./machine/program.ts";
import { type PieceOutput, Programs } from "./programs.ts";
import { asOurs, CpuState } from "./state.ts";
import { ThreadChoice } from "./machine/thread_choice.ts";

/**
 * The fewest steps of a sequence that go through at once where there are more: a matmul of fewer rows reads its weights
 * too often.
 */
const PIECE_STEPS = 32;

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
  readonly maxCompany: number = COMPANY_MAX;
  readonly #cpu: Cpu;
  readonly #loaded: LoadedWeights<CpuKinds>;
  readonly #programs: Programs;
  readonly #company: Company;
  /** Undefined where the caller says how many threads work. */
  readonly #threads: ThreadChoice | undefined;
  /** Ops of a sequence that run in one go, as measured. */
  #opsAtOnce = 1;
  readonly #pace = new Pace({
    unit: PIECE_STEPS,
    fewRows: MATVEC_MAX_ROWS,
    firstRows: PIECE_STEPS,
    favorsThroughput: true,
  });

  constructor(
    cpu: Cpu,
    config: ModelConfig,
    loaded: LoadedWeights<CpuKinds>,
    { choosesThreads }: { readonly choosesThreads: boolean },
  ) {
    this.#cpu = cpu;
    this.config = config;
    this.#loaded = loaded;
    this.#programs = new Programs(cpu, config, loaded.weights);
    this.#company = new Company(cpu, config);
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
    asOurs(state).settings.write(encodeSettings(settings, state.batch));
  }

  setToken(state: ExecutorState, token: number, draws: number): void {
    const ours = asOurs(state);
    ours.tokens.write(new Uint32Array([token]));
    ours.draws.write(new Uint32Array([draws]));
  }

  async forward(
    state: ExecutorState,
    inputs: Uint32Array | Float32Array,
    { logits: wanted, onProgress, pauses }: ForwardOptions,
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
    const logitSteps = wanted === "all" ? Math.floor(maxLogitRows / batch) : Infinity;
    const most = Math.max(1, Math.min(activations.stepsAtOnce(batch), logitSteps));
    const all = wanted === "all" ? new Float32Array(batch * seqlen * count) : undefined;
    for (let start = 0; start < seqlen;) {
      const steps = this.#pace.steps(batch, seqlen - start, most);
      await this.#runPiece(ours, inputs, { batch, seqlen, start, steps }, wanted, pauses);
      const logits = all && this.#programs.logits.view(0, [batch * steps * count]).read();
      for (let b = 0; logits !== undefined && b < batch; b++) {
        const of = logits.subarray(b * steps * count, (b + 1) * steps * count);
        all?.set(of, (b * seqlen + start) * count);
      }
      start += steps;
      onProgress?.(start);
      const pause = start < seqlen ? pauses?.between() : undefined;
      if (pause !== undefined) await pause;
    }
    return wanted === "last" ? ours.logits.read() : all;
  }

  async score(
    state: ExecutorState,
    ids: Uint32Array,
    following: Uint32Array,
    pauses?: Pauses,
  ): Promise<Float32Array> {
    const ours = asOurs(state);
    const { targets, scores, maxLogitRows } = this.#programs;
    const seqlen = ids.length;
    const result = new Float32Array(seqlen * 3);
    for (let start = 0; start < seqlen;) {
      const steps = this.#pace.steps(1, seqlen - start, maxLogitRows);
      targets.write(following.subarray(start, start + steps));
      await this.#runPiece(ours, ids, { batch: 1, seqlen, start, steps }, "score", pauses);
      result.set(scores.view(0, [steps, 3]).read(), start * 3);
      start += steps;
      const pause = start < seqlen ? pauses?.between() : undefined;
      if (pause !== undefined) await pause;
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
  async draw(requests: readonly DrawRequest[]): Promise<Draws[]> {
    const bursts = requests.map(({ state, steps, consumeFirst, keep }) => {
      const ours = asOurs(state);
      const [drawn = 0] = ours.draws.readWords();
      this.copyState(ours, keep);
      if (!consumeFirst) this.#programs.draw(ours).run();
      return { state: ours, steps, drawn, left: consumeFirst ? steps : steps - 1 };
    });
    const stepping = bursts.filter(({ left }) => left > 0);
    const [first, ...others] = stepping;
    if (first !== undefined && others.length === 0) {
      this.#runSteps(this.#programs.stepAndDraw(first.state), first.left);
    } else if (first !== undefined) this.#drawTogether(stepping);
    return bursts.map(({ state, steps, drawn }) => ringDraws(state.ring.readWords(), drawn, steps));
  }

  async step(requests: readonly StepRequest[]): Promise<Float32Array[]> {
    const [first, ...others] = requests;
    if (first === undefined) return [];
    if (others.length > 0) return this.#stepTogether(requests);
    const logits = await this.forward(first.state, first.input, { logits: "last" });
    return [logits ?? new Float32Array()];
  }

  [Symbol.dispose](): void {
    this.#programs[Symbol.dispose]();
    this.#company[Symbol.dispose]();
    this.#loaded[Symbol.dispose]();
  }

  /** Steps and draws of several: whoever has made all of its own leaves, and the others go on without it. */
  #drawTogether(bursts: readonly { readonly state: CpuState; readonly left: number }[]): void {
    const staying = bursts.toSorted((a, b) => b.left - a.left);
    for (let done = 0; staying.length > 0;) {
      const next = staying.at(-1)?.left ?? done;
      const { state: company, activations } = this.#company.of(staying.length);
      for (const [row, { state }] of staying.entries()) enterCompany(company, state, row);
      this.#runSteps(this.#programs.stepAndDraw(company, activations), next - done);
      for (const [row, { state }] of staying.entries()) leaveCompany(company, state, row);
      done = next;
      while (staying.at(-1)?.left === done) staying.pop();
    }
  }

  #stepTogether(requests: readonly StepRequest[]): Float32Array[] {
    const { state: company, activations } = this.#company.of(requests.length);
    const isLinear = this.config.input.kind === "linear";
    const width = inputWidth(this.config);
    for (const [row, { state, input }] of requests.entries()) {
      enterCompany(company, asOurs(state), row);
      (isLinear ? activations.inputs : company.tokens).write(input, row * width * 4);
    }
    this.#runSteps(this.#programs.step(company, activations), 1);
    return requests.map(({ state }, row) => {
      leaveCompany(company, asOurs(state), row);
      return asOurs(state).logits.read();
    });
  }

  #runSteps(program: CpuProgram, steps: number): void {
    if (this.#threads === undefined) program.run(steps);
    else this.#threads.run(steps, () => program.run(steps));
  }

  /** Runs steps of all sequences, from their places in `inputs`. */
  async #runPiece(
    state: CpuState,
    inputs: Uint32Array | Float32Array,
    { batch, seqlen, start, steps }: Piece,
    output: PieceOutput,
    pauses: Pauses | undefined,
  ): Promise<void> {
    const target = this.#programs.activations.of(batch).inputs;
    const width = inputWidth(this.config);
    for (let b = 0; b < batch; b++) {
      const from = (b * seqlen + start) * width;
      target.write(inputs.subarray(from, from + steps * width), b * steps * width * 4);
    }
    const computedMs = await this.#runInParts(this.#programs.piece(state, steps, output), pauses);
    this.#pace.took(batch * steps, computedMs);
  }

  /**
   * Runs a program a few ops at a time, as many as take part of a turn: what nothing can interrupt is an op.
   *
   * @returns How long it computed, in milliseconds.
   */
  async #runInParts(program: CpuProgram, pauses: Pauses | undefined): Promise<number> {
    const { threads, maxThreads } = this.#cpu;
    let computedMs = 0;
    for (let done = 0; done < program.length;) {
      const pause = done > 0 ? pauses?.within() : undefined;
      if (pause !== undefined) await pause;
      const count = Math.min(this.#opsAtOnce, program.length - done);
      const began = performance.now();
      // Many steps have work for all threads, however few are best for one.
      if (threads < maxThreads) this.#cpu.setThreads(maxThreads);
      program.runPart(done, count);
      if (threads < maxThreads) this.#cpu.setThreads(threads);
      const elapsedMs = performance.now() - began;
      if (elapsedMs > TURN_MS / 2) this.#opsAtOnce = Math.ceil(count / 2);
      else if (elapsedMs < TURN_MS / 4 && count === this.#opsAtOnce) this.#opsAtOnce *= 2;
      computedMs += elapsedMs;
      done += count;
    }
    return computedMs;
  }
}
