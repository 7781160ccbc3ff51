/** The one seam between the engine and what runs the model: how an executor takes weights, and what it does then. */

import type { ModelConfig } from "./config/config.ts";
import type { LoadPlan, PlannedWeight } from "./weights/load_plan.ts";
import type { QuantizedRows } from "./weights/quantize.ts";
import type { Draws, SamplerSettings } from "./sampler.ts";

export type { Draws };

/** The executors that there are. */
export type Backend = "webgpu" | "cpu";

/** Which logits a forward pass hands out. */
export type LogitsWanted = "none" | "last" | "all";

/** Options of {@linkcode Executor.forward}. */
export interface ForwardOptions {
  /** Which logits to return. */
  readonly logits: LogitsWanted;
  /**
   * Is told after every piece how many steps of each sequence are done, and not only handed to the device. In which
   * pieces inputs go through the model is the same with and without it, and so are the bits.
   */
  readonly onProgress?: ((steps: number) => void) | undefined;
  /** What it does between its pieces. */
  readonly pauses?: Pauses | undefined;
}

/**
 * What a long call awaits, so that nothing has to wait for all of it; nothing where nobody waits, which then need not be
 * awaited: a small model has a pause in every half of a millisecond. What they throw ends the call.
 */
export interface Pauses {
  /** In the middle of a piece, of which the state is half done: the call cannot be gone on with if this throws. */
  within(): Promise<void> | undefined;
  /** After about {@linkcode TURN_MS}, between two pieces: other calls on the executor are made meanwhile. */
  between(): Promise<void> | undefined;
}

/** About how long a turn on the executor takes, in milliseconds, where no single piece takes longer. */
export const TURN_MS = 25;

/** The state of one or more independent sequences, made by an executor and only understood by it. */
export interface ExecutorState extends Disposable {
  /** Number of sequences. */
  readonly batch: number;
}

/** A part of a state in host memory. */
export interface StateArray {
  /** Which part: `layers.N.ssm_state`, ... */
  readonly name: string;
  /** Type of the elements. */
  readonly dtype: "F32" | "U32";
  /** Row-major shape, the batch first. */
  readonly shape: readonly number[];
  /** Little-endian elements. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What one sequence wants of {@linkcode Executor.draw}. */
export interface DrawRequest {
  /** Its state. */
  readonly state: ExecutorState;
  /** Tokens to draw. */
  readonly steps: number;
  /**
   * Whether the pending token is consumed before the first draw; otherwise the first draw is from the logits that the
   * state has. The last token drawn is left pending.
   */
  readonly consumeFirst: boolean;
  /** A state that gets a copy of `state` as it was before. */
  readonly keep: ExecutorState;
}

/** What one sequence wants of {@linkcode Executor.step}. */
export interface StepRequest {
  /** Its state. */
  readonly state: ExecutorState;
  /** A token id, or the floats of one step. */
  readonly input: Uint32Array | Float32Array;
}

/**
 * Runs a loaded model. States are values: they are copied, read and written whole.
 *
 * Calls that give promises are made one after the other, or in the others' pauses between pieces; the rest may be made on
 * another state at any time. Nothing is disposed while a call needs it.
 */
export interface Executor extends Disposable {
  /** Which executor it is. */
  readonly backend: Backend;
  /** The device, in words. */
  readonly device: string;
  /** What a user should know of the device, where there is something. */
  readonly deviceNote: string | undefined;
  /** The model that it runs. */
  readonly config: ModelConfig;
  /** Bytes that the weights take on the device. */
  readonly weightBytes: number;
  /** Bytes of the device's memory that are held now: weights, states, programs' parameters and what calls work in. */
  readonly deviceBytes: number;
  /** The longest burst that {@linkcode Executor.draw} takes. */
  readonly maxDraws: number;
  /** The most sequences that {@linkcode Executor.draw} and {@linkcode Executor.step} take at once. */
  readonly maxCompany: number;
  /** A state of zeros for `batch` sequences. */
  createState(batch: number): ExecutorState;
  /** Makes the state zeros again. */
  resetState(state: ExecutorState): void;
  /** Copies everything from one state to another of the same batch. */
  copyState(from: ExecutorState, to: ExecutorState): void;
  /** Reads a state: the same state written later continues with the same bits. */
  readState(state: ExecutorState): Promise<StateArray[]>;
  /** Writes a state that was read. Shapes must be those of the state. */
  writeState(state: ExecutorState, arrays: readonly StateArray[]): void;
  /** Sets how tokens are drawn from this state on. */
  setSampler(state: ExecutorState, settings: SamplerSettings): void;
  /** Sets the token that the next step consumes, and the number of draws made so far (sequence 0). */
  setToken(state: ExecutorState, token: number, draws: number): void;
  /**
   * Runs inputs of shape (batch, seqlen) token ids, or (batch, seqlen, d_input) floats, through the model, in pieces of
   * its own choice, of which no bit of the result depends.
   *
   * @returns Logits (batch, n) of the last step, or (batch, seqlen, n) of all.
   */
  forward(
    state: ExecutorState,
    inputs: Uint32Array | Float32Array,
    options: ForwardOptions,
  ): Promise<Float32Array | undefined>;
  /**
   * Runs ids (one sequence) through the model and says how expected each was.
   *
   * @param following The id after each of `ids`.
   * @returns (ids.length, 3): log-probability, rank and entropy of each following id.
   */
  score(
    state: ExecutorState,
    ids: Uint32Array,
    following: Uint32Array,
    pauses?: Pauses,
  ): Promise<Float32Array>;
  /** The same for one id, given the logits that the state has now. */
  scoreNext(state: ExecutorState, id: number): Promise<Float32Array>;
  /**
   * Draws tokens one after the other on the device: a burst of each of some states, which are of one sequence each.
   *
   * Each has its own settings and its own length, and what it draws, and becomes, is the same to the bit with whatever
   * others it is called.
   */
  draw(requests: readonly DrawRequest[]): Promise<Draws[]>;
  /**
   * Feeds one input to each of some states, which are of one sequence each: the same bits, whatever others there are.
   *
   * @returns The logits of each after it.
   */
  step(requests: readonly StepRequest[]): Promise<Float32Array[]>;
}

/**
 * Whole rows of a weight, back to back with no padding, in the type that the plan gives it: floats, the bits of f16 or
 * bf16, or codes, scales or both as quantizeRows() makes them. A row is all that one index of the first dimension holds.
 */
export type WeightRows =
  | Float32Array
  | Uint16Array<ArrayBuffer>
  | Partial<QuantizedRows>;

/**
 * Takes the weights of one model, and becomes the executor that runs it.
 *
 * Its methods are called in their order here. Disposing it frees everything, unless an executor has it by then.
 */
export interface WeightSink extends Disposable {
  /**
   * Makes room for all weights of a plan, zeros at first, before any is read.
   *
   * @throws {RangeError} If they do not fit, or the model is beyond what the executor can run.
   */
  allocate(plan: LoadPlan): Promise<void>;
  /** Writes rows of a planned weight, from `firstRow` on; in whatever order. They are the caller's again afterwards. */
  writeRows(weight: PlannedWeight, firstRow: number, rows: WeightRows): void;
  /** Waits where too much of what was written is still under way. It is called after every piece. */
  flush(): Promise<void>;
  /** What runs the model. It owns the weights, and whatever else the sink held. */
  finish(): Promise<Executor>;
}
