/**
 * The ops that checks call: those that models are made of, and what these are made of themselves.
 *
 * Programs, tensors and matrices are the executor's own: checks make them through its {@linkcode Bench}, hand them to its
 * ops, and look into none.
 */

import type { SsdOptions, SsdSizes } from "../model/ssd_sizes.ts";
import type { Kinds } from "../passes/kinds.ts";
import type { OpSet } from "../passes/op_set.ts";
import type { Mamba3Step } from "../passes/ops/mamba3_ops.ts";
import type { Named, Op, Sizes } from "../passes/ops/op.ts";

declare const opaque: unique symbol;

/** A program of whichever executor. */
export interface OpaqueProgram {
  readonly [opaque]: "program";
}

/** A tensor of whichever executor. */
export interface OpaqueTensor {
  readonly [opaque]: "tensor";
}

/** A matrix of whichever executor. */
export interface OpaqueMatrix {
  readonly [opaque]: "matrix";
}

/** The types of whichever executor. */
export interface Opaque extends Kinds {
  readonly program: OpaqueProgram;
  readonly tensor: OpaqueTensor;
  readonly matrix: OpaqueMatrix;
}

type ChunkedShape = SsdSizes & SsdOptions & Sizes<"batch" | "seqlen" | "chunk">;
type RatesSizes = Sizes<"d_inner" | "d_state">;

/** All of them; each executor gives those that it has. */
export interface CheckedOps<K extends Kinds = Opaque> extends OpSet<K> {
  /** y = softplus(x), as the ops of the recurrences compute it within. */
  readonly softplus: Op<K, Named<"x" | "y", K["tensor"]>, Sizes<"size">>;
  /** `mamba3Steps` of the op set. */
  readonly mamba3Step: Mamba3Step<K>;
  /** `rates` of the op set. */
  readonly scanRates: Op<K, Named<"A_log" | "rates", K["tensor"]>, RatesSizes>;
  readonly scanRatesSize: (sizes: RatesSizes) => number;
  /** Elements of chunk_states, of an executor that runs chunks of a sequence side by side. */
  readonly chunkStatesSize: (sizes: RatesSizes, shape: Sizes<"batch" | "seqlen">) => number;
  readonly rowCopy: Op<
    K,
    Named<"table" | "own" | "rows", K["tensor"]>,
    Sizes<"row" | "units"> & { readonly toOwn: boolean }
  >;
  readonly rowTable: (
    parts: readonly Sizes<"size" | "own" | "rows">[],
  ) => Uint32Array<ArrayBuffer>;
  readonly selectiveScanBwdSum: Op<
    K,
    Named<"partials" | "grad_x_dbl", K["tensor"]>,
    Sizes<"rows" | "blocks" | "d_state" | "dt_rank">
  >;
  readonly ssdScratch: (
    shape: SsdSizes & Sizes<"batch" | "seqlen"> & { readonly chunk?: number },
  ) => Sizes<"decays" | "CB" | "states">;
  readonly ssdDecays: Op<
    K,
    Named<"zxbcdt" | "A_log" | "dt_bias" | "decays", K["tensor"]>,
    ChunkedShape
  >;
  readonly ssdCBFwd: Op<K, Named<"xBC" | "CB", K["tensor"]>, ChunkedShape>;
  readonly ssdStates: Op<
    K,
    Named<"x" | "xBC" | "decays" | "states", K["tensor"]>,
    ChunkedShape & { readonly keep: boolean; readonly backward: boolean }
  >;
  readonly ssdPass: Op<
    K,
    Named<"decays" | "states" | "ssm_state", K["tensor"]>,
    ChunkedShape & {
      readonly keep: boolean;
      readonly reverse: boolean;
      readonly fromZero: boolean;
    }
  >;
}

/** The name of an op, or of what goes with one. */
export type OpName = keyof CheckedOps;
