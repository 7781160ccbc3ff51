/** What executors differ in: the types of what their ops record into and work on. */

/** An executor's own types, for whoever hands them on and looks into none. */
export interface Kinds {
  /** What ops are recorded into. */
  readonly program: unknown;
  readonly tensor: unknown;
  readonly matrix: unknown;
}

/** What a pass must know of a tensor. */
export interface PassTensor extends Disposable {
  /** Row-major shape. */
  readonly shape: readonly number[];
  /** Number of elements of the shape. */
  readonly size: number;
  /** A tensor over part of this one; `offset` in bytes, a multiple of four times {@linkcode VIEW_STEP}. */
  view(offset: number, shape: readonly number[]): this;
  /** Writes data to the start of the tensor, for programs that run later. */
  write(data: Float32Array | Uint32Array): void;
}

/** What a pass must know of a matrix (rows, columns). */
export interface PassMatrix {
  readonly rows: number;
  readonly columns: number;
}

/** The types of an executor that passes are recorded for. */
export interface PassKinds extends Kinds {
  readonly program: Disposable;
  readonly tensor: PassTensor;
  readonly matrix: PassMatrix;
}

/** Elements between two places where a view may start: what the least capable device of WebGPU asks for, 256 bytes. */
export const VIEW_STEP = 64;
