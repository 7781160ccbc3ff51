/** Sizes of what S4D and S4 work with, and where it lies: channels lie side by side everywhere, so that none wait for others. */

/** Sizes of the recurrence. */
export interface S4Sizes {
  /** Channels, each with a recurrence of its own. */
  readonly d_model: number;
  /** Real states of each: half as many complex ones, each of which stands for itself and its conjugate. */
  readonly d_state: number;
}

/** Names of the tensors that make S4D's recurrence. */
export type S4DParameter = "A_re" | "A_im" | "log_step";
/** The same of S4. */
export type S4Parameter = "Lambda_re" | "Lambda_im" | "P" | "B" | "log_step";

/** Sizes of what a chunk of steps does. */
export interface S4Chunk extends S4Sizes {
  /** Steps of a chunk. */
  readonly chunk: number;
  /** Whether the states are coupled, as S4's are by its term of rank one, and S4D's are not. */
  readonly lowRank: boolean;
}

/** Elements of the system: a and b of each pair; with a low rank p and q, too, and the step of each channel. */
export function systemSize({ d_model, d_state, lowRank }: Omit<S4Chunk, "chunk">): number {
  return (lowRank ? 4 * d_state + 1 : 2 * d_state) * d_model;
}

/** Part of a tensor, in elements. */
export interface Place {
  readonly start: number;
  readonly size: number;
}

/**
 * Where the table of a chunk has its parts: the kernel K (chunk, d_model), what outputs have of the state before it O and
 * what inputs leave in the state after it R, both (chunk, d_state, d_model), and what becomes of the state E: a factor for
 * each pair (d_state, d_model), or with a low rank a matrix (d_state, d_state, d_model).
 */
export function tablePlaces(
  { d_model, d_state, chunk, lowRank }: S4Chunk,
): Readonly<Record<"K" | "O" | "R" | "E", Place>> {
  const rows = chunk * d_state;
  const place = (start: number, size: number) => ({
    start: start * d_model,
    size: size * d_model,
  });
  return {
    K: place(0, chunk),
    O: place(chunk, rows),
    R: place(chunk + rows, rows),
    E: place(chunk + 2 * rows, lowRank ? d_state ** 2 : d_state),
  };
}

/** Elements of the table. */
export function tableSize(shape: S4Chunk): number {
  const { E } = tablePlaces(shape);
  return E.start + E.size;
}

/**
 * Columns of a tensor (batch, ldBatch, d_model): the chunks of each sequence. Row k of a chunk is row
 * `offset + chunk * ldChunk + k` of its sequence, and rows of it from `limit` on are not there.
 */
export interface Panel {
  readonly ldBatch: number;
  readonly ldChunk: number;
  readonly offset?: number;
  readonly limit: number;
}

/** How the weight of a product with a panel lies there. */
export type ChannelForm = "plain" | "transposed" | "convolution" | "correlation";

/** Size of a product with a panel: `outer` rows of each column come of `inner`. */
export interface ChannelProduct {
  readonly batch: number;
  /** Columns of each sequence. */
  readonly chunks: number;
  readonly outer: number;
  readonly inner: number;
  readonly d_model: number;
}
