/** What an executor gives for passes to be recorded: its ops, and where tensors lie. */

import type { PassKinds } from "./kinds.ts";
import type { OpSet } from "./op_set.ts";
import type { Parts } from "./parts.ts";

/** A device with what runs on it. */
export interface Platform<K extends PassKinds> {
  readonly ops: OpSet<K>;
  /** What can run inside a block. */
  readonly parts: Parts<K>;
  /** An empty program. */
  createProgram(): K["program"];
  /**
   * Allocates a tensor of zeros.
   *
   * @throws {RangeError} If there is no memory for it.
   */
  createTensor(label: string, shape: readonly number[]): K["tensor"];
  /** What a tensor of that size finds too little of, in words; undefined where there is room. */
  lackOfRoom(label: string, sizeBytes: number): string | undefined;
  /** An f32 matrix over a tensor that others own, with rows of `stride` elements one after the other. */
  matrixOver(tensor: K["tensor"], size: MatrixSize): K["matrix"];
  /** Elements of partial sums that matmulBwdW() needs for so many rows. */
  matmulBwdWScratch(size: MatrixSize, rows: number): number;
}

/** Size of a matrix that is trained. */
export interface MatrixSize {
  readonly rows: number;
  readonly columns: number;
  /** Elements from row to row. */
  readonly stride: number;
}
