/** Where checks run: what an executor gives for its ops to be checked. */

import type { Kinds } from "../passes/kinds.ts";
import type { CheckedOps, Opaque } from "./checked_ops.ts";
import type { RoundedWeight } from "./ops/rounded_weight.ts";

/** An executor's ops, and room to try them in. */
export interface Bench<K extends Kinds = Opaque> {
  /** What computes: the adapter's name, or that of another device. */
  readonly device: string;
  /** The build of the kernels that runs here, where an executor has several. */
  readonly build?: string;
  /** Threads that compute, where it is known. */
  readonly threads?: number;
  /** The ops there are: checks of others are left out. */
  readonly ops: Partial<CheckedOps<K>>;
  /** Makes room for one check. */
  open(): Workspace<K>;
}

/** One program, and the tensors that it works on: all are freed with it. */
export interface Workspace<K extends Kinds = Opaque> extends Disposable {
  /** Where ops are recorded. */
  readonly program: K["program"];
  /** A tensor of these words, a multiple of 4 of them, and of no more memory. */
  tensor(words: Uint32Array<ArrayBuffer>): K["tensor"];
  /** The like, several of them, that ops may have as one binding: in order in one buffer, for an executor that binds buffers. */
  tensors(words: readonly Uint32Array<ArrayBuffer>[]): K["tensor"][];
  /** A weight (rows, columns); in memory `guard` follows the rows, or those of each part that the executor splits them into. */
  matrix(
    weight: RoundedWeight,
    shape: readonly [number, number],
    options: {
      readonly guard: Uint32Array<ArrayBuffer>;
      /** Rows of a part at most, for an executor that splits. */
      readonly rowsPerBlock?: number | undefined;
    },
  ): K["matrix"];
  /** An f32 matrix (rows, columns) whose rows lie in a tensor, each padded as matrixRowBytes() says. */
  matrixOver(tensor: K["tensor"], shape: readonly [number, number]): K["matrix"];
  /** Runs the program, and reads all words of these tensors. */
  run(tensors: readonly K["tensor"][]): Promise<Uint32Array<ArrayBuffer>[]>;
}

/** The bench as checks see it: what they hand to it they had from it, so its own types may be forgotten. */
export function sealBench<K extends Kinds>(
  bench: Bench<K>,
): Bench {
  return bench as unknown as Bench;
}
