/** The executor on WebGPU. */

import type { Gpu } from "../gpu/device.ts";
import { encode, type Program } from "../gpu/program.ts";
import { readBuffer } from "../gpu/readback.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, logitCount } from "../model/ends.ts";
import type {
  DrawRequest,
  Draws,
  Executor,
  ExecutorState,
  ForwardOptions,
  Pauses,
  StateArray,
  StepRequest,
} from "../model/executor.ts";
import { RING, type SamplerSettings } from "../model/sampler.ts";
import { MATVEC_MAX_ROWS } from "../ops/linear.ts";
import type { LoadedWeights } from "../passes/weights.ts";
import { type Burst, Bursts, takeDraws } from "./bursts.ts";
import { Company } from "./company.ts";
import type { FusedStep } from "./fused/fused_step.ts";
import { asOurs, stateCopy, WebGpuState } from "./executor_state.ts";
import type { WebGpuKinds } from "./op_set.ts";
import { Pieces } from "./pieces.ts";
import { Programs } from "./programs.ts";
import { runProgram } from "./run_program.ts";
import { keptTensors } from "./state.ts";

/** Runs a model on a WebGPU device. It owns the weights; the device is the caller's. */
export class WebGpuExecutor implements Executor {
  readonly backend = "webgpu";
  readonly config: ModelConfig;
  readonly maxDraws: number = RING;
  readonly #gpu: Gpu;
  readonly #loaded: LoadedWeights<WebGpuKinds>;
  readonly #programs: Programs;
  readonly #pieces: Pieces;
  readonly #company: Company;
  readonly #bursts: Bursts;
  #fused: FusedStep | undefined;
  /** The state before a single step in one dispatch. */
  #beforeStep: WebGpuState | undefined;

  constructor(gpu: Gpu, config: ModelConfig, loaded: LoadedWeights<WebGpuKinds>) {
    this.#gpu = gpu;
    this.config = config;
    this.#loaded = loaded;
    this.#programs = new Programs(gpu, config, loaded.weights);
    this.#pieces = new Pieces(gpu, config, this.#programs);
    this.#company = new Company(gpu, config);
    this.#bursts = new Bursts(gpu, this.#programs, this.#company);
  }

  get maxCompany(): number {
    return this.#company.most;
  }

  get device(): string {
    return this.#gpu.name;
  }

  /** How single steps run on this device, and why. */
  stepNote: string | undefined;

  /** Whether single steps of one sequence alone are whole dispatches; in company it has the same bits. */
  get usesFused(): boolean {
    return this.#fused !== undefined;
  }

  /** Takes whole steps in one dispatch, which are freed with it, or a list of dispatches. */
  useFused(fused: FusedStep | undefined): void {
    this.#fused = fused;
  }

  get deviceNote(): string | undefined {
    return this.#gpu.note ?? this.stepNote;
  }

  get weightBytes(): number {
    return this.#loaded.sizeBytes;
  }

  get deviceBytes(): number {
    return this.#gpu.live.sizeBytes;
  }

  createState(batch: number): WebGpuState {
    this.#programs.activations.requireBatch(batch);
    return new WebGpuState(this.#gpu, this.config, batch);
  }

  resetState(state: ExecutorState): void {
    const { parts } = asOurs(state);
    const { device } = this.#gpu;
    this.#gpu.watch(() => {
      const encoder = device.createCommandEncoder();
      encoder.clearBuffer(parts.buffer.buffer);
      device.queue.submit([encoder.finish()]);
    });
    asOurs(state).draws = 0;
  }

  copyState(from: ExecutorState, to: ExecutorState): void {
    const source = asOurs(from);
    const target = asOurs(to);
    const copy = encode(this.#gpu, [], { before: [stateCopy(source, target)] });
    this.#gpu.device.queue.submit([copy]);
    target.draws = source.draws;
  }

  async readState(state: ExecutorState): Promise<StateArray[]> {
    const { parts } = asOurs(state);
    const bytes = await readBuffer(this.#gpu, parts.buffer, parts.buffer.sizeBytes);
    return keptTensors(parts).map(({ name, dtype, tensor }) => ({
      name,
      dtype,
      shape: tensor.shape,
      bytes: bytes.slice(tensor.offset, tensor.offset + tensor.size * 4),
    }));
  }

  writeState(state: ExecutorState, arrays: readonly StateArray[]): void {
    const ours = asOurs(state);
    const byName = new Map(arrays.map((array) => [array.name, array]));
    // All is checked before anything is written: half a state would be of no stream at all.
    const writes = keptTensors(ours.parts).map(({ name, tensor }) => {
      const array = byName.get(name);
      if (array === undefined || array.bytes.length !== tensor.size * 4) {
        throw new RangeError(
          `Cannot write the state: "${name}" has ${array?.bytes.length ?? 0} bytes, ` +
            `and this model needs ${tensor.size * 4}`,
        );
      }
      return { name, tensor, array };
    });
    for (const { name, tensor, array } of writes) {
      tensor.write(array.bytes);
      if (name === "draws") {
        ours.draws = new Uint32Array(array.bytes.buffer, array.bytes.byteOffset, 1)[0] ?? 0;
      }
    }
  }

  setSampler(state: ExecutorState, settings: SamplerSettings): void {
    asOurs(state).setSampler(settings);
  }

  setToken(state: ExecutorState, token: number, draws: number): void {
    const ours = asOurs(state);
    ours.parts.tokens.write(new Uint32Array([token]));
    ours.parts.draws.write(new Uint32Array([draws]));
    ours.draws = draws;
  }

  async forward(
    state: ExecutorState,
    inputs: Uint32Array | Float32Array,
    { logits, onProgress, pauses }: ForwardOptions,
  ): Promise<Float32Array | undefined> {
    const ours = asOurs(state);
    const { batch } = ours;
    const stepSize = inputWidth(this.config);
    const seqlen = inputs.length / (batch * stepSize);
    const count = logitCount(this.config);
    if (seqlen === 1 && logits !== "all" && batch <= MATVEC_MAX_ROWS) {
      const own = batch === 1 ? await this.#fusedStep(ours, inputs) : undefined;
      if (own !== undefined) {
        onProgress?.(1);
        return logits === "last" ? own : undefined;
      }
      const { stepActivations } = this.#programs;
      const isLinear = this.config.input.kind === "linear";
      (isLinear ? stepActivations.inputs : ours.parts.tokens).write(inputs);
      // One that has drawn alone has a program of its own.
      const place = ours.stepProgram === undefined ? this.#programs.placeOf(ours) : ours;
      const result = {
        from: place.parts.logits,
        floats: logits === "last" ? batch * count : onProgress === undefined ? 0 : 1,
      };
      const program = this.#programs.step(place);
      const last = await runProgram(this.#gpu, ours, program, result, place);
      onProgress?.(1);
      return logits === "last" ? last : undefined;
    }
    const sequence = { batch, seqlen, inputs, onProgress, pauses };
    if (logits !== "all") {
      return await this.#pieces.run(ours, sequence, {
        output: "none",
        lastLogits: logits === "last",
      });
    }
    const all = new Float32Array(batch * seqlen * count);
    await this.#pieces.run(ours, sequence, {
      output: "all",
      collect: (read, { start, steps }) => {
        for (let b = 0; b < batch; b++) {
          const of = read.subarray(b * steps * count, (b + 1) * steps * count);
          all.set(of, (b * seqlen + start) * count);
        }
      },
    });
    return all;
  }

  async score(
    state: ExecutorState,
    ids: Uint32Array,
    following: Uint32Array,
    pauses?: Pauses,
  ): Promise<Float32Array> {
    const scores = new Float32Array(ids.length * 3);
    await this.#pieces.run(
      asOurs(state),
      { batch: 1, seqlen: ids.length, inputs: ids, following, pauses },
      { output: "score", collect: (read, { start }) => scores.set(read, start * 3) },
    );
    return scores;
  }

  async scoreNext(state: ExecutorState, id: number): Promise<Float32Array> {
    const ours = asOurs(state);
    const { targets, scores } = this.#programs;
    const place = this.#programs.placeOf(ours);
    const program = this.#programs.scoreNext(place);
    targets.write(new Uint32Array([id]));
    const result = { from: scores, floats: 3 };
    return await runProgram(this.#gpu, ours, program, result, place) ?? new Float32Array(3);
  }

  async draw(requests: readonly DrawRequest[]): Promise<Draws[]> {
    const bursts = requests.map(({ state, keep, ...rest }) => ({
      ...rest,
      state: asOurs(state),
      keep: asOurs(keep),
    }));
    const [first, ...others] = bursts;
    if (first === undefined) return [];
    if (others.length > 0) return await this.#bursts.together(bursts);
    return [await (this.usesFused ? this.#drawFused(first) : this.#bursts.alone(first))];
  }

  async step(requests: readonly StepRequest[]): Promise<Float32Array[]> {
    const [first, ...others] = requests;
    if (first === undefined) return [];
    if (others.length > 0) return await this.#stepTogether(requests);
    const { state, input } = first;
    return [await this.forward(state, input, { logits: "last" }) ?? new Float32Array()];
  }

  /** A burst in one dispatch. */
  async #drawFused(burst: Burst): Promise<Draws> {
    const { state, steps, consumeFirst, keep } = burst;
    this.copyState(state, keep);
    const ring = await this.#fused?.draw(state, steps, consumeFirst);
    if (ring !== undefined) return takeDraws(ring, 0, state, steps);
    this.#leaveFused(keep, state);
    return await this.#bursts.alone(burst);
  }

  /** One step in one dispatch: its logits, or undefined where that is not done. */
  async #fusedStep(
    state: WebGpuState,
    input: Uint32Array | Float32Array,
  ): Promise<Float32Array | undefined> {
    if (this.#fused === undefined) return undefined;
    const before = this.#beforeStep ??= this.createState(1);
    this.copyState(state, before);
    const logits = await this.#fused.step(state, input, logitCount(this.config));
    if (logits === undefined) this.#leaveFused(before, state);
    return logits;
  }

  /** Workgroups waited in vain: what they left is undone, and it does not happen again. */
  #leaveFused(before: WebGpuState, state: WebGpuState): void {
    if (this.#fused === undefined) return;
    this.#fused[Symbol.dispose]();
    this.useFused(undefined);
    this.stepNote = "steps are a list of dispatches: workgroups waited for each other in vain";
    this.copyState(before, state);
  }

  [Symbol.dispose](): void {
    this.#fused?.[Symbol.dispose]();
    this.#beforeStep?.[Symbol.dispose]();
    this.#programs[Symbol.dispose]();
    this.#company[Symbol.dispose]();
    this.#loaded[Symbol.dispose]();
  }

  /** The program of a sequence, as many of its steps as go through at once, with the logits of the last. */
  sequenceProgramOf(state: ExecutorState, steps: number): Program {
    const { batch } = state;
    const most = Math.floor(this.#programs.activations.maxRows(batch) / batch);
    return this.#programs.piece(asOurs(state), Math.min(steps, most), "none");
  }

  /** The programs of one step and one draw, as these states go through them together. For benchmarks. */
  drawProgramsOf([first, ...others]: readonly ExecutorState[]): [step: Program, sample: Program] {
    if (first === undefined) throw new RangeError("Cannot draw: there is no state");
    if (others.length === 0) {
      return [this.#programs.step(asOurs(first)), this.#programs.sample(asOurs(first))];
    }
    const { state, activations } = this.#company.of(1 + others.length);
    return [this.#programs.step(state, activations), this.#programs.sample(state)];
  }

  async #stepTogether(requests: readonly StepRequest[]): Promise<Float32Array[]> {
    const group = this.#company.of(requests.length);
    const { state: company, activations } = group;
    const width = inputWidth(this.config);
    const count = logitCount(this.config);
    const seats = requests.map(({ state, input }, row) => {
      const ours = asOurs(state);
      if (this.config.input.kind === "linear") activations.inputs.write(input, row * width * 4);
      else ours.parts.tokens.write(input);
      return this.#company.seat(group, ours, row);
    });
    const sizeBytes = requests.length * count * 4;
    const staging = await company.staging(sizeBytes);
    const programs = [
      ...seats.map(({ enter }) => enter),
      this.#programs.step(company, activations),
      ...seats.map(({ leave }) => leave),
    ];
    const out = {
      from: company.parts.logits,
      to: { buffer: staging.buffer, offset: 0 },
      sizeBytes,
    };
    this.#gpu.device.queue.submit([encode(this.#gpu, programs, { after: [out] })]);
    const logits = new Float32Array((await staging.read(sizeBytes)).buffer);
    return requests.map((_, row) => logits.slice(row * count, (row + 1) * count));
  }
}
