/** The executor on WebGPU. */

import type { Gpu } from "../gpu/device.ts";
import { encode, Program } from "../gpu/program.ts";
import { readBuffer } from "../gpu/readback.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, logitCount } from "../model/ends.ts";
import { type Activations, createActivations } from "../passes/activations.ts";
import {
  inferenceTensors,
  recordBlocks,
  recordHead,
  recordLastLogits,
  recordNormF,
} from "../passes/forward.ts";
import type { Platform } from "../passes/platform.ts";
import type { LoadedWeights } from "../passes/weights.ts";
import type { WebGpuKinds } from "./op_set.ts";
import { webgpuPlatform } from "./platform.ts";
import { keptTensors } from "./state.ts";
import { MATVEC_MAX_ROWS } from "../ops/linear.ts";
import { sampleFwd } from "../ops/sample.ts";
import { encodeSettings, NO_TOKEN, RING, type SamplerSettings } from "../model/sampler.ts";
import { tokenScoreFwd } from "../ops/token_score.ts";
import type {
  Draws,
  Executor,
  ExecutorState,
  ForwardOptions,
  Pauses,
  StateArray,
} from "../model/executor.ts";
import { Pace } from "../model/pieces.ts";
import { SequenceActivations } from "./sequence_activations.ts";
import { asOurs, stateCopy, WebGpuState } from "./executor_state.ts";

/** Logits of a chunk may take this much: 50280 of them for 256 steps. */
const LOGITS_BYTES = 50 * 2 ** 20;

/** Steps of a burst that go into one submit: the next ones are encoded while the GPU works on these. */
const PIECE = 8;

/**
 * A matmul's smaller tile, and a chunk of Mamba-2: parts of either cost as much as wholes. A software adapter, on which
 * these take seconds, is no slower with them than with more.
 */
const PIECE_STEPS = 64;

/** Rows of a turn that a GPU begins with: fewer leave a large one idle, and a first prompt is mostly no longer. */
const FIRST_ROWS = 512;

/**
 * Programs for pieces that are kept of each kind: of the usual length, and of what a sequence ends with. A kind's take
 * the same memory, whatever their lengths, so that a state's does not grow with what it consumes.
 */
const KEPT_LENGTHS = 2;

/** What a piece of a sequence gives, beside the state. */
type PieceOutput = "none" | "all" | "score";

/** What goes through the model in pieces. */
interface Sequence extends Pick<ForwardOptions, "onProgress" | "pauses"> {
  readonly batch: number;
  readonly seqlen: number;
  readonly inputs: Uint32Array | Float32Array;
  /** The id after each, where they are scored. */
  readonly following?: Uint32Array;
}

/** Part of a sequence: steps [start, start + steps) of each of its batch. */
interface Piece {
  readonly start: number;
  readonly steps: number;
}

/** What is wanted of the pieces. */
interface PieceResults {
  readonly output: PieceOutput;
  /** Whether the logits of the last step are. */
  readonly lastLogits?: boolean;
  /** Is given what each piece gave. */
  readonly collect?: (read: Float32Array, piece: Piece) => void;
}

/** Runs a model on a WebGPU device. It owns the weights; the device is the caller's. */
export class WebGpuExecutor implements Executor {
  readonly backend = "webgpu";
  readonly config: ModelConfig;
  readonly maxDraws: number = RING;
  readonly #gpu: Gpu;
  readonly #platform: Platform<WebGpuKinds>;
  readonly #loaded: LoadedWeights<WebGpuKinds>;
  /** For single steps of few sequences. */
  readonly #stepActivations: Activations<WebGpuKinds>;
  /** For everything else. */
  readonly #activations: SequenceActivations;
  #chunkLogits: Tensor | undefined;
  #targets: Tensor | undefined;
  #scores: Tensor | undefined;
  readonly #maxLogitRows: number;
  readonly #pace: Pace;

  constructor(gpu: Gpu, config: ModelConfig, loaded: LoadedWeights<WebGpuKinds>) {
    this.#gpu = gpu;
    this.#platform = webgpuPlatform(gpu);
    this.config = config;
    this.#loaded = loaded;
    this.#pace = new Pace({
      unit: PIECE_STEPS,
      fewRows: MATVEC_MAX_ROWS,
      firstRows: gpu.isSoftware ? PIECE_STEPS : FIRST_ROWS,
      favorsThroughput: !gpu.isSoftware,
    });
    this.#stepActivations = createActivations(this.#platform, config, {
      rows: MATVEC_MAX_ROWS,
      batch: 0,
    });
    this.#activations = new SequenceActivations(gpu, config);
    const logitBytes = Math.min(LOGITS_BYTES, gpu.device.limits.maxStorageBufferBindingSize);
    this.#maxLogitRows = Math.max(
      1,
      Math.min(this.#activations.maxRows(1), Math.floor(logitBytes / (logitCount(config) * 4))),
    );
  }

  get device(): string {
    return this.#gpu.name;
  }

  get deviceNote(): string | undefined {
    return this.#gpu.note;
  }

  get weightBytes(): number {
    return this.#loaded.sizeBytes;
  }

  get deviceBytes(): number {
    return this.#gpu.live.sizeBytes;
  }

  createState(batch: number): WebGpuState {
    this.#activations.requireBatch(batch);
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
    asOurs(state).settings.write(encodeSettings(settings));
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
      const target = this.config.input.kind === "linear"
        ? this.#stepActivations.inputs
        : ours.parts.tokens;
      target.write(inputs);
      const last = await this.#run(ours, this.#stepProgram(ours), ours.parts.logits, {
        floats: logits === "last" ? batch * count : onProgress === undefined ? 0 : 1,
      });
      onProgress?.(1);
      return logits === "last" ? last : undefined;
    }
    const sequence = { batch, seqlen, inputs, onProgress, pauses };
    if (logits !== "all") {
      return await this.#runPieces(ours, sequence, {
        output: "none",
        lastLogits: logits === "last",
      });
    }
    const all = new Float32Array(batch * seqlen * count);
    await this.#runPieces(ours, sequence, {
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
    await this.#runPieces(
      asOurs(state),
      { batch: 1, seqlen: ids.length, inputs: ids, following, pauses },
      { output: "score", collect: (read, { start }) => scores.set(read, start * 3) },
    );
    return scores;
  }

  async scoreNext(state: ExecutorState, id: number): Promise<Float32Array> {
    const ours = asOurs(state);
    const { targets, scores } = this.#scoreTensors();
    let program = ours.chunkPrograms.get("next");
    if (program === undefined) {
      program = new Program(this.#gpu);
      this.#recordScore(program, ours.parts.logits, 1);
      this.#keep(ours, "next", program);
    }
    targets.write(new Uint32Array([id]));
    return await this.#run(ours, program, scores, { floats: 3 }) ?? new Float32Array(3);
  }

  async draw(
    state: ExecutorState,
    steps: number,
    options: { readonly consumeFirst: boolean; readonly keep: ExecutorState },
  ): Promise<Draws> {
    const ours = asOurs(state);
    const keep = asOurs(options.keep);
    const { queue } = this.#gpu.device;
    const staging = await ours.staging(RING * 8);
    this.copyState(ours, keep);
    for (let done = 0; done < steps; done += PIECE) {
      const length = Math.min(PIECE, steps - done);
      const consumeFirst = done > 0 || options.consumeFirst;
      const prepared = done === 0 ? ours.prepared : undefined;
      const fits = prepared?.length === length && consumeFirst;
      queue.submit([fits ? prepared.commands : this.#encodePiece(ours, length, consumeFirst)]);
    }
    const out = {
      from: ours.parts.ring,
      to: { buffer: staging.buffer, offset: 0 },
      sizeBytes: RING * 8,
    };
    queue.submit([encode(this.#gpu, [], { after: [out] })]);
    // The following burst is most likely as long as this one: it begins at once if its first piece is encoded by then.
    const length = Math.min(PIECE, steps);
    ours.prepared = { length, commands: this.#encodePiece(ours, length, true) };
    const bytes = await staging.read(RING * 8);
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset);
    const floats = new Float32Array(bytes.buffer, bytes.byteOffset);
    const ids: number[] = [];
    const logprobs: number[] = [];
    for (let step = 0; step < steps; step++) {
      const slot = 2 * ((ours.draws + step) % RING);
      const id = words[slot] ?? NO_TOKEN;
      const logprob = floats[slot + 1] ?? NaN;
      if (id === NO_TOKEN || Number.isNaN(logprob)) {
        throw new RangeError(
          `Cannot draw a token: the logits of draw ${ours.draws + step} are not finite`,
        );
      }
      ids.push(id);
      logprobs.push(logprob);
    }
    ours.draws += steps;
    return { ids, logprobs };
  }

  [Symbol.dispose](): void {
    this.#stepActivations[Symbol.dispose]();
    this.#activations[Symbol.dispose]();
    this.#chunkLogits?.[Symbol.dispose]();
    this.#targets?.[Symbol.dispose]();
    this.#scores?.[Symbol.dispose]();
    this.#loaded[Symbol.dispose]();
  }

  /** The program of one step: the input is in state.tokens, or in the step's activations. For benchmarks, too. */
  stepProgramOf(state: ExecutorState): Program {
    return this.#stepProgram(asOurs(state));
  }

  /** The program of a sequence, as many of its steps as go through at once, with the logits of the last. */
  sequenceProgramOf(state: ExecutorState, steps: number): Program {
    const ours = asOurs(state);
    const most = Math.floor(this.#activations.maxRows(ours.batch) / ours.batch);
    return this.#pieceProgram(ours, Math.min(steps, most), "none");
  }

  /** The program of one draw. */
  sampleProgramOf(state: ExecutorState): Program {
    return this.#sampleProgram(asOurs(state));
  }

  #stepProgram(state: WebGpuState): Program {
    if (state.stepProgram === undefined) {
      const program = new Program(this.#gpu);
      const { logits, tokens } = state.parts;
      const hasIds = this.config.input.kind === "embedding";
      const inputs = hasIds ? tokens : undefined;
      const tensors = inferenceTensors(
        this.#loaded.weights,
        state.parts,
        this.#stepActivations,
        inputs,
      );
      const shape = { batch: state.batch, seqlen: 1 };
      recordBlocks(this.#platform, program, this.config, tensors, shape);
      if (tensors.pool_state !== undefined) {
        recordNormF(this.#platform, program, this.config, tensors, shape);
      }
      recordLastLogits(this.#platform, program, this.config, tensors, { ...shape, logits });
      state.stepProgram = program;
    }
    return state.stepProgram;
  }

  #sampleProgram(state: WebGpuState): Program {
    if (state.sampleProgram === undefined) {
      const { head, real_vocab_size } = this.config;
      const { seen, logits, tokens, draws, ring } = state.parts;
      if (head.kind !== "lm" || seen === undefined) {
        throw new TypeError("Cannot draw tokens: this model is a classifier");
      }
      state.sampleProgram = new Program(this.#gpu);
      sampleFwd(
        state.sampleProgram,
        { settings: state.settings, logits, seen, tokens, draws, ring },
        { batch: state.batch, vocab_size: head.vocab_size, real_vocab_size, label: "sample" },
      );
    }
    return state.sampleProgram;
  }

  #pieceProgram(state: WebGpuState, steps: number, output: PieceOutput): Program {
    const key = `${output} ${steps}`;
    const kept = state.chunkPrograms.get(key);
    if (kept !== undefined) return kept;
    const program = new Program(this.#gpu, { sameBits: true });
    const activations = this.#activations.of(state.batch);
    const tensors = inferenceTensors(this.#loaded.weights, state.parts, activations);
    const shape = { batch: state.batch, seqlen: steps };
    const wantsAll = output !== "none";
    recordBlocks(this.#platform, program, this.config, tensors, shape);
    if (wantsAll || tensors.pool_state !== undefined) {
      recordNormF(this.#platform, program, this.config, tensors, shape);
    }
    if (wantsAll) {
      recordHead(this.#platform, program, tensors, this.#logitsTensor(), {
        rows: state.batch * steps,
      });
    }
    if (output === "score") this.#recordScore(program, this.#logitsTensor(), steps);
    // Whatever was asked for, the state has its logits afterwards: the next call may draw from them.
    const { logits } = state.parts;
    recordLastLogits(this.#platform, program, this.config, tensors, { ...shape, logits });
    this.#keep(state, key, program);
    return program;
  }

  #recordScore(program: Program, logits: Tensor, rows: number): void {
    const { head, real_vocab_size } = this.config;
    if (head.kind !== "lm") throw new TypeError("Cannot score tokens: this model is a classifier");
    const { targets, scores } = this.#scoreTensors();
    tokenScoreFwd(
      program,
      { logits, targets, y: scores },
      { rows, vocab_size: head.vocab_size, real_vocab_size, label: "token_score" },
    );
  }

  #keep(state: WebGpuState, key: string, program: Program): void {
    const [kind = ""] = key.split(" ");
    const alike = [...state.chunkPrograms].filter(([other]) => other.startsWith(`${kind} `));
    for (const [oldest, old] of alike.slice(0, 1 - KEPT_LENGTHS)) {
      state.chunkPrograms.delete(oldest);
      old[Symbol.dispose]();
    }
    state.chunkPrograms.set(key, program);
  }

  #logitsTensor(): Tensor {
    return this.#chunkLogits ??= createTensor(this.#gpu, "logits", [
      this.#maxLogitRows,
      logitCount(this.config),
    ]);
  }

  #scoreTensors(): { targets: Tensor; scores: Tensor } {
    this.#targets ??= createTensor(this.#gpu, "targets", [this.#maxLogitRows]);
    this.#scores ??= createTensor(this.#gpu, "scores", [this.#maxLogitRows, 3]);
    return { targets: this.#targets, scores: this.#scores };
  }

  /**
   * Runs a sequence in pieces: as many as take a turn are handed to the device one after the other, and then waited for.
   *
   * @returns The logits of the last step, where they are wanted.
   */
  async #runPieces(
    state: WebGpuState,
    sequence: Sequence,
    { output, lastLogits = false, collect }: PieceResults,
  ): Promise<Float32Array | undefined> {
    const { batch, seqlen, following, onProgress, pauses } = sequence;
    const logitRows = output === "none" ? Infinity : this.#maxLogitRows;
    const rowsAtOnce = Math.min(this.#activations.maxRows(batch), logitRows);
    const most = Math.max(1, Math.floor(rowsAtOnce / batch));
    let read: Float32Array | undefined;
    for (let start = 0; start < seqlen;) {
      const began = performance.now();
      let rows = 0;
      while (start < seqlen && (rows === 0 || rows < this.#pace.rows)) {
        const steps = this.#pace.steps(batch, seqlen - start, most);
        const program = this.#pieceProgram(state, steps, output);
        this.#writePiece(sequence, { start, steps });
        if (following !== undefined) {
          this.#scoreTensors().targets.write(following.subarray(start, start + steps));
        }
        rows += batch * steps;
        const { tensor, width } = this.#resultOf(state, output);
        const isLast = start + steps === seqlen;
        // A turn whose results nobody wants is waited for by reading one float, where it is worth waiting for.
        const waits = onProgress !== undefined || rows > PIECE_STEPS;
        const isTurnOver = isLast || rows >= this.#pace.rows;
        const floats = output !== "none"
          ? batch * steps * width
          : isLast && lastLogits
          ? batch * width
          : Number(isTurnOver && waits);
        read = await this.#run(state, program, tensor, { floats });
        if (read !== undefined) collect?.(read, { start, steps });
        start += steps;
      }
      if (read !== undefined) this.#pace.took(rows, performance.now() - began);
      onProgress?.(start);
      if (start < seqlen) await pauses?.between();
    }
    return lastLogits ? read : undefined;
  }

  /** What a piece's results are read from, and how many there are of a row. */
  #resultOf(state: WebGpuState, output: PieceOutput): { tensor: Tensor; width: number } {
    if (output === "score") return { tensor: this.#scoreTensors().scores, width: 3 };
    const tensor = output === "all" ? this.#logitsTensor() : state.parts.logits;
    return { tensor, width: logitCount(this.config) };
  }

  /** Brings steps [start, start + steps) of every sequence next to each other. */
  #writePiece({ batch, seqlen, inputs }: Sequence, { start, steps }: Piece): void {
    const target = this.#activations.of(batch).inputs;
    const width = inputWidth(this.config);
    for (let b = 0; b < batch; b++) {
      const from = (b * seqlen + start) * width;
      target.write(inputs.subarray(from, from + steps * width), b * steps * width * 4);
    }
  }

  /** Runs a program and reads `floats` floats from the start of a tensor; none are read, and nothing waited for, at 0. */
  async #run(
    state: WebGpuState,
    program: Program,
    from: Tensor,
    { floats }: { floats: number },
  ): Promise<Float32Array | undefined> {
    const { device } = this.#gpu;
    if (floats === 0) {
      device.queue.submit([encode(this.#gpu, [program])]);
      this.#gpu.check();
      return undefined;
    }
    const staging = await state.staging(floats * 4);
    const copy = { from, to: { buffer: staging.buffer, offset: 0 }, sizeBytes: floats * 4 };
    device.queue.submit([encode(this.#gpu, [program], { after: [copy] })]);
    const bytes = await staging.read(floats * 4);
    return new Float32Array(bytes.buffer);
  }

  #encodePiece(state: WebGpuState, steps: number, consumeFirst: boolean): GPUCommandBuffer {
    const programs: Program[] = [];
    for (let step = 0; step < steps; step++) {
      if (step > 0 || consumeFirst) programs.push(this.#stepProgram(state));
      programs.push(this.#sampleProgram(state));
    }
    return encode(this.#gpu, programs);
  }
}
