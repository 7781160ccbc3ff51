/** Products with a weight. */

import type { Kinds } from "../kinds.ts";
import type { Accumulate, Named, Op, Optional, Options, Sizes } from "./op.ts";

/** How x and y of a product lie in memory, and whether what is there is added to. */
type LinearShape = Sizes<"rows"> & Options<"ldX" | "xOffset" | "ldY">;

/** The side of a tile of the result, where the executor can choose it. */
type Tile = 64 | 128;

/** The same of a forward. */
type FwdTile = 32 | "64 split" | Tile;

interface LinearTensors<K extends Kinds> {
  readonly x: K["tensor"];
  readonly weight: K["matrix"];
  readonly bias?: K["tensor"] | undefined;
  readonly y: K["tensor"];
  /** Scratch, where the executor may sum in parts. */
  readonly partials?: K["tensor"] | undefined;
}

/** What a matvec does before and after the product, and how it is spread, where the executor can choose that. */
export interface MatvecOptions<K extends Kinds> {
  readonly norm?: { readonly weight: K["tensor"]; readonly eps: number };
  readonly conv?: {
    readonly weight: K["tensor"];
    readonly bias?: K["tensor"] | undefined;
    readonly state: K["tensor"];
    readonly d_conv: number;
    readonly d_inner: number;
    readonly start?: number;
  };
  readonly tiling?: Sizes<"each" | "groups" | "atOnce">;
  /** Whether rows are computed each by itself, some together, or in tiles of which a lane has so many. */
  readonly way?: "alone" | Sizes<"groups"> | Sizes<"each">;
}

/** Products with a weight. */
export interface LinearOps<K extends Kinds> {
  /** Rows for which linearFwd() takes matvecFwd(), whose bits do not depend on how many there are. */
  readonly MATVEC_MAX_ROWS: number;
  readonly matvecFwd: (
    program: K["program"],
    tensors: LinearTensors<K>,
    shape: LinearShape & { readonly residual?: boolean; readonly label: string },
    options?: MatvecOptions<K>,
  ) => void;
  readonly matmulFwd: (
    program: K["program"],
    tensors: LinearTensors<K>,
    shape: LinearShape & { readonly residual?: boolean; readonly label: string },
    tiling?: { readonly tile?: FwdTile | undefined; readonly parts?: number },
  ) => void;
  /** By whichever of them suits the number of rows. */
  readonly linearFwd: Op<
    K,
    LinearTensors<K>,
    LinearShape & { readonly residual?: boolean }
  >;
  readonly matmulBwdX: (
    program: K["program"],
    tensors: Named<"grad_y" | "grad_x", K["tensor"]> & { readonly weight: K["matrix"] },
    shape: LinearShape & Accumulate & { readonly label: string },
    tile?: Tile,
  ) => void;
  readonly matmulBwdW: (
    program: K["program"],
    tensors:
      & Named<"grad_y" | "x", K["tensor"]>
      & Optional<"partials", K["tensor"]>
      & { readonly grad_weight: K["matrix"] },
    shape: LinearShape & Accumulate & { readonly label: string },
    tiling?: { readonly tile: Tile; readonly parts: number },
  ) => void;
  readonly columnSum: Op<
    K,
    Named<"x" | "partials" | "y", K["tensor"]>,
    Sizes<"rows" | "columns"> & Options<"ldX"> & Accumulate
  >;
  readonly columnSumScratch: (rows: number, columns: number) => number;
}
