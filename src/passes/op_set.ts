/**
 * The ops that models are made of, by the names and shapes of src/ops: each executor gives its own.
 *
 * What they compute, and what each tensor holds, is documented there. Programs, tensors and matrices are the executor's.
 */

import type { Mamba3Options, Mamba3Sizes } from "../model/mamba3_sizes.ts";
import type {
  ChannelForm,
  ChannelProduct,
  Panel,
  S4Chunk,
  S4DParameter,
  S4Parameter,
  S4Sizes,
} from "../model/s4_sizes.ts";
import type { SsdOptions, SsdSizes } from "../model/ssd_sizes.ts";
import type { Kinds } from "./kinds.ts";

/** All ops, and the sizes of the scratch that they need. */
export interface OpSet<K extends Kinds>
  extends
    LinearOps<K>,
    RowOps<K>,
    Mamba1Ops<K>,
    Mamba2Ops<K>,
    Mamba3Ops<K>,
    S4Ops<K>,
    HeadOps<K>,
    UpdateOps<K> {
  /**
   * Whether backward computes again what takes little, where it takes as long to read; if not, all is kept. See
   * `recomputed` of a part's training.
   */
  readonly recomputes: boolean;
}

/** An op: records what computes `tensors` into a program. */
export type Op<K extends Kinds, Tensors, Shape> = (
  program: K["program"],
  tensors: Tensors,
  shape: Shape & { readonly label: string },
) => void;

/** These names, each for a tensor. */
export type Named<Names extends string, Tensor> = { readonly [Name in Names]: Tensor };

/** Some of these names, each for a tensor. */
type Optional<Names extends string, Tensor> = { readonly [Name in Names]?: Tensor | undefined };

/** These sizes. */
export type Sizes<Names extends string> = { readonly [Name in Names]: number };

/** Some of these sizes. */
type Options<Names extends string> = { readonly [Name in Names]?: number };

/** How x and y of a product lie in memory, and whether what is there is added to. */
type LinearShape = Sizes<"rows"> & Options<"ldX" | "xOffset" | "ldY">;

interface Accumulate {
  readonly accumulate?: boolean;
}

/** The side of a tile of the result, where the executor can choose it. */
type Tile = 64 | 128;

/** The same of a forward. */
type FwdTile = 32 | Tile;

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
  /** Whether rows are computed each by itself, some together, or in tiles that share their sums among workgroups. */
  readonly way?: "alone" | Sizes<"groups"> | Sizes<"shares">;
}

/** Products with a weight. */
interface LinearOps<K extends Kinds> {
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

interface GatedNorm extends Sizes<"rows" | "d_inner" | "group_size" | "eps"> {
  readonly norm_before_gate: boolean;
  readonly ldZ?: number;
  readonly zOffset?: number;
}

type PoolSizes = Sizes<"batch" | "seqlen" | "d_model">;

/** What is done to each row, and over the rows of a sequence. */
interface RowOps<K extends Kinds> {
  readonly embeddingFwd: Op<
    K,
    Named<"ids" | "y", K["tensor"]> & Optional<"seen", K["tensor"]> & {
      readonly weight: K["matrix"];
    },
    Sizes<"batch" | "seqlen">
  >;
  readonly embeddingBwd: Op<
    K,
    & Named<"ids" | "grad_y", K["tensor"]>
    & Optional<"partials", K["tensor"]>
    & { readonly grad_weight: K["matrix"] },
    Sizes<"rows"> & Accumulate
  >;
  readonly embeddingBwdParts: (rows: number, vocab_size: number) => number;
  readonly rmsNormFwd: Op<
    K,
    Named<"x" | "weight" | "y", K["tensor"]>,
    Sizes<"rows" | "d_model" | "eps"> & Options<"ldX" | "xOffset">
  >;
  readonly rmsNormBwd: Op<
    K,
    Named<"x" | "weight" | "grad_y" | "grad_x" | "partials" | "grad_weight", K["tensor"]>,
    & Sizes<"rows" | "d_model" | "eps">
    & Options<"ldX" | "xOffset">
    & { readonly accumulateX?: boolean; readonly accumulateWeight?: boolean }
  >;
  readonly rmsNormBwdParts: (rows: number) => number;
  readonly gatedRmsNormFwd: Op<
    K,
    Named<"y" | "z" | "out", K["tensor"]> & Optional<"weight", K["tensor"]>,
    GatedNorm
  >;
  readonly gatedRmsNormBwd: Op<
    K,
    Named<"y" | "z" | "grad_out" | "grad_z", K["tensor"]> & {
      readonly norm?: Named<"weight" | "partials" | "grad_weight", K["tensor"]> | undefined;
    },
    GatedNorm & Options<"ldGradZ" | "gradZOffset"> & Accumulate
  >;
  readonly gatedRmsNormBwdParts: (rows: number) => number;
  readonly swigluFwd: Op<K, Named<"x" | "y", K["tensor"]>, Sizes<"rows" | "width">>;
  readonly swigluBwd: Op<
    K,
    Named<"x" | "grad_y" | "grad_x", K["tensor"]>,
    Sizes<"rows" | "width">
  >;
  readonly meanPoolFwd: Op<K, Named<"x" | "pool_state" | "y", K["tensor"]>, PoolSizes>;
  readonly meanPoolBwd: Op<
    K,
    Named<"grad_y" | "grad_x", K["tensor"]>,
    PoolSizes & Options<"count">
  >;
  readonly lastStepBwd: Op<K, Named<"grad_y" | "grad_x", K["tensor"]>, PoolSizes>;
  readonly dropout: Op<
    K,
    Named<"x" | "draw" | "y", K["tensor"]>,
    Sizes<"size" | "probability" | "seed" | "site"> & Accumulate
  >;
}

type ConvSizes = Sizes<"batch" | "seqlen" | "d_inner" | "d_conv">;
type ScanSizes = Sizes<"batch" | "d_inner" | "d_state" | "dt_rank">;
type RatesSizes = Sizes<"d_inner" | "d_state">;
type ScanTensors<K extends Kinds> = Named<
  "u" | "dt" | "x_dbl" | "xz" | "A_log" | "D" | "ssm_state",
  K["tensor"]
>;

/** What Mamba-1 is made of; its convolution is Mamba-2's, too. */
interface Mamba1Ops<K extends Kinds> {
  readonly conv1dFwd: Op<
    K,
    Named<"x" | "weight" | "conv_state" | "y", K["tensor"]> & Optional<"bias", K["tensor"]>,
    ConvSizes & Options<"ldX" | "xOffset">
  >;
  readonly conv1dBwd: Op<
    K,
    & Named<"x" | "weight" | "conv_state" | "grad_y" | "grad_x" | "grad_conv_state", K["tensor"]>
    & Named<"grad_weight" | "partials", K["tensor"]>
    & Optional<"bias" | "grad_final" | "grad_bias", K["tensor"]>,
    ConvSizes & Options<"ldX" | "xOffset" | "ldGradX" | "gradXOffset"> & Accumulate
  >;
  readonly conv1dBwdScratch: (shape: ConvSizes) => number;
  readonly dtBCNormFwd: Op<
    K,
    Named<"x_dbl" | "rstd", K["tensor"]>,
    Sizes<"rows" | "dt_rank" | "d_state" | "eps">
  >;
  readonly dtBCNormBwd: Op<
    K,
    Named<"x_dbl" | "rstd" | "grad_x_dbl", K["tensor"]>,
    Sizes<"rows" | "dt_rank" | "d_state">
  >;
  /** The largest d_state that scans take. */
  readonly MAX_SCAN_STATES: number;
  /** Steps from one state to the next that selectiveScanFwd() keeps. */
  readonly SCAN_CHUNK: number;
  readonly selectiveScanFwd: Op<
    K,
    ScanTensors<K> & Named<"y", K["tensor"]> & Optional<"rates" | "chunk_states", K["tensor"]>,
    ScanSizes & Sizes<"seqlen"> & { readonly keep?: boolean }
  >;
  /** Elements of what selectiveScanFwd() works in, 0 where it needs none of it. */
  readonly scanActivations: (
    sizes: Sizes<"d_inner" | "d_state">,
    size: ActivationSize,
  ) => Sizes<"chunk_states">;
  readonly selectiveScanStep: Op<
    K,
    & Named<"xz" | "x_dbl" | "dt_bias" | "A_log" | "D" | "ssm_state" | "y", K["tensor"]>
    & Optional<"rates", K["tensor"]>
    & { readonly dt_weight: K["matrix"] },
    ScanSizes & { readonly byRows?: boolean }
  >;
  /** What scans read in place of A_log, of an executor that makes it once for all of them. */
  readonly rates?: {
    readonly shapeOf: (sizes: RatesSizes) => readonly number[];
    readonly record: Op<K, Named<"A_log" | "rates", K["tensor"]>, RatesSizes>;
  };
  readonly selectiveScanBwd: Op<
    K,
    & ScanTensors<K>
    & Named<
      "grad_y" | "grad_xz" | "grad_x_dbl" | "grad_A_log" | "grad_D" | "grad_state",
      K["tensor"]
    >
    & Named<"partials_BC" | "partials_params", K["tensor"]>,
    ScanSizes & Sizes<"seqlen"> & Accumulate & { readonly gradFinal?: boolean }
  >;
  readonly scanBwdScratch: (
    shape: Sizes<"batch" | "seqlen" | "d_inner" | "d_state">,
  ) => Sizes<"partials_BC" | "partials_params">;
}

type SsdShape = SsdSizes & SsdOptions & Sizes<"batch" | "seqlen">;
type SsdWeights<K extends Kinds> = Named<"xBC" | "zxbcdt" | "A_log" | "D" | "dt_bias", K["tensor"]>;

/** What activations are for: any `batch` sequences that have `rows` steps together. */
export interface ActivationSize {
  readonly rows: number;
  /** 0 where each sequence has a single step. */
  readonly batch: number;
  /** For training, which keeps states in tensors of its own. */
  readonly keepsStates?: boolean;
}

/** Mamba-2's recurrence. */
interface Mamba2Ops<K extends Kinds> {
  /** Steps of a chunk in training: from one state that is kept to the next. */
  readonly SSD_CHUNK: number;
  /** Elements of what ssdFwd() works in, 0 where it needs none of it. */
  readonly ssdActivations: (
    sizes: SsdSizes,
    size: ActivationSize,
  ) => Sizes<"decays" | "CB" | "states">;
  readonly ssdStep: Op<
    K,
    SsdWeights<K> & Named<"ssm_state" | "y", K["tensor"]>,
    & SsdSizes
    & SsdOptions
    & Sizes<"batch">
    & Options<"ldXBC" | "xBCOffset">
    & { readonly gated?: boolean }
  >;
  readonly ssdFwd: Op<
    K,
    & SsdWeights<K>
    & Named<"ssm_state" | "y" | "decays" | "CB", K["tensor"]>
    & Optional<"states", K["tensor"]>,
    SsdShape & Options<"chunk">
  >;
  readonly ssdBwd: Op<
    K,
    & SsdWeights<K>
    & Named<
      "ssm_state" | "grad_y" | "grad_xBC" | "grad_zxbcdt" | "grad_A_log" | "grad_D",
      K["tensor"]
    >
    & Named<
      "grad_dt_bias" | "grad_state" | "decays" | "CB" | "grad_CB" | "grad_states",
      K["tensor"]
    >
    & Named<"sums" | "partials", K["tensor"]>,
    SsdShape & Sizes<"chunk"> & Accumulate & { readonly gradFinal?: boolean }
  >;
  readonly ssdBwdScratch: (
    shape: SsdShape & Sizes<"chunk">,
  ) => Sizes<"decays" | "CB" | "grad_CB" | "grad_states" | "sums" | "partials">;
}

type Mamba3Shape = Mamba3Sizes & Sizes<"batch" | "seqlen">;

/** See {@linkcode Mamba3Ops}: y of one step, gated or not; kq is scratch (batch, nheads, 2, d_state). */
export type Mamba3Step<K extends Kinds> = Op<
  K,
  & Named<"zxBCdt" | "dt_bias" | "B_norm" | "C_norm" | "B_bias" | "C_bias" | "D", K["tensor"]>
  & Named<"theta" | "ssm_state" | "k" | "v" | "kq" | "y", K["tensor"]>
  & Optional<"mimo_x", K["tensor"]>,
  Mamba3Sizes & Mamba3Options & Sizes<"batch" | "eps"> & { readonly gated: boolean }
>;

/** What Mamba-3's ops read of in_proj's output, and of weights. */
type Mamba3Sources<K extends Kinds> =
  & Named<"zxBCdt" | "dt_bias" | "B_norm" | "C_norm" | "rates" | "thetas" | "vkq", K["tensor"]>
  & Optional<"mimo_x", K["tensor"]>;

/** What Mamba-3 is made of. */
interface Mamba3Ops<K extends Kinds> {
  readonly mamba3Inputs: Op<
    K,
    & Named<"zxBCdt" | "dt_bias" | "B_norm" | "C_norm" | "B_bias" | "C_bias", K["tensor"]>
    & Named<"theta" | "rates" | "thetas" | "vkq", K["tensor"]>
    & Optional<"mimo_x", K["tensor"]>,
    Mamba3Shape & Mamba3Options & Sizes<"eps">
  >;
  readonly mamba3Scan: Op<
    K,
    & Named<"vkq" | "rates" | "zxBCdt" | "D" | "ssm_state" | "k" | "v" | "y", K["tensor"]>
    & Named<"states" | "decays" | "CB", K["tensor"]>
    & Optional<"mimo_x", K["tensor"]>,
    Mamba3Shape & { readonly keep?: boolean }
  >;
  /** Elements of what mamba3Scan() works in, 0 where it needs none of it. */
  readonly mamba3ScanScratch: (
    sizes: Mamba3Sizes,
    size: ActivationSize,
  ) => Sizes<"states" | "decays" | "CB">;
  /**
   * A single step in fewer ops, of an executor that gains by it: a GPU, by each dispatch less. The CPU's ops take one step
   * after the other as they are, and a state is little beside the weights that a step reads.
   */
  readonly mamba3Steps?: {
    readonly takes: (sizes: Mamba3Sizes) => boolean;
    readonly record: Mamba3Step<K>;
  };
  readonly mamba3ScanBwd: Op<
    K,
    & Named<"vkq" | "rates" | "D" | "k" | "v" | "states" | "grad_y" | "grad_vkq", K["tensor"]>
    & Named<"grad_rates" | "grad_D" | "grad_state" | "decays" | "CB" | "grad_CB", K["tensor"]>
    & Named<"grad_states" | "sums" | "skips" | "partials", K["tensor"]>
    & Optional<"mimo_x" | "grad_mimo_x", K["tensor"]>,
    Mamba3Shape
  >;
  readonly mamba3ScanBwdScratch: (
    shape: Mamba3Shape,
  ) => Sizes<"grad_CB" | "grad_states" | "sums" | "skips" | "partials">;
  readonly mamba3InputsBwd: Op<
    K,
    & Mamba3Sources<K>
    & Named<"grad_vkq" | "grad_rates" | "grad_zxBCdt" | "grad_dt_bias" | "grad_B_norm", K["tensor"]>
    & Named<"grad_C_norm" | "grad_B_bias" | "grad_C_bias" | "grad_thetas", K["tensor"]>
    & Named<"norm_rows" | "dt_rows" | "vkq_sums" | "partials", K["tensor"]>
    & Optional<"grad_mimo_x", K["tensor"]>,
    Mamba3Shape & Mamba3Options & Sizes<"eps">
  >;
  readonly mamba3GateBwd: Op<
    K,
    & Named<"y" | "zxBCdt" | "grad_out" | "grad_zxBCdt" | "partials", K["tensor"]>
    & Optional<"mimo_z" | "mimo_o" | "weight", K["tensor"]>
    & Optional<"grad_mimo_z" | "grad_mimo_o" | "grad_weight", K["tensor"]>,
    Mamba3Shape & Sizes<"eps">
  >;
  readonly mamba3GateFwd: Op<
    K,
    & Named<"y" | "zxBCdt" | "out", K["tensor"]>
    & Optional<"mimo_z" | "mimo_o" | "weight", K["tensor"]>,
    Mamba3Shape & Sizes<"eps">
  >;
}

/** What S4D and S4 are made of. */
interface S4Ops<K extends Kinds> {
  /** Steps of a chunk, which the convolution takes at a time. */
  readonly S4_CHUNK: number;
  readonly s4dSystem: Op<K, Named<S4DParameter | "system", K["tensor"]>, S4Sizes>;
  readonly s4dSystemBwd: Op<
    K,
    Named<S4DParameter | `grad_${S4DParameter}` | "grad_system", K["tensor"]>,
    S4Sizes
  >;
  readonly s4System: Op<
    K,
    Named<S4Parameter | "system", K["tensor"]>,
    S4Sizes
  >;
  readonly s4SystemBwd: Op<
    K,
    Named<"system" | "Lambda_re" | `grad_${S4Parameter}` | "grad_system", K["tensor"]>,
    S4Sizes
  >;
  readonly s4Power: Op<K, Named<"system" | "E", K["tensor"]>, S4Sizes & Sizes<"steps">>;
  readonly s4PowerBwd: Op<K, Named<"system" | "grad_Abar" | "grad_system", K["tensor"]>, S4Sizes>;
  readonly s4Series: Op<K, Named<"system" | "C" | "D" | "table", K["tensor"]>, S4Chunk>;
  readonly s4SeriesBwd: Op<
    K,
    & Named<"system" | "C" | "table" | "grad_table", K["tensor"]>
    & Named<"grad_system" | "grad_C" | "grad_D", K["tensor"]>,
    S4Chunk
  >;
  readonly s4dPass: Op<
    K,
    Named<"E" | "states", K["tensor"]>,
    S4Sizes & Sizes<"batch" | "slots" | "count"> & { readonly reverse: boolean }
  >;
  readonly s4dPassBwd: Op<
    K,
    Named<"states" | "grad_states" | "grad_E", K["tensor"]>,
    S4Sizes & Sizes<"batch" | "slots" | "gradSlots" | "count">
  >;
  readonly s4Scan: Op<
    K,
    Named<"system" | "C" | "D" | "u" | "states" | "y", K["tensor"]>,
    S4Chunk & Sizes<"batch" | "seqlen" | "first" | "slots">
  >;
  readonly channelMatmul: Op<
    K,
    Named<"x" | "weight" | "y", K["tensor"]>,
    & ChannelProduct
    & Accumulate
    & { readonly form: ChannelForm; readonly x: Panel; readonly y: Panel }
  >;
  readonly channelOuter: Op<
    K,
    Named<"p" | "q" | "partials" | "y", K["tensor"]>,
    ChannelProduct & Accumulate & { readonly p: Panel; readonly q: Panel }
  >;
  readonly channelOuterScratch: (shape: ChannelProduct) => number;
  readonly channelCorrelate: Op<
    K,
    Named<"p" | "q" | "partials" | "y", K["tensor"]>,
    Sizes<"batch" | "chunks" | "rows" | "d_model"> & { readonly panel: Panel }
  >;
  readonly channelCorrelateScratch: (
    shape: Sizes<"batch" | "chunks" | "rows" | "d_model">,
  ) => number;
  readonly geluFwd: Op<K, Named<"x" | "y", K["tensor"]>, Sizes<"size">>;
  readonly geluBwd: Op<K, Named<"x" | "grad", K["tensor"]>, Sizes<"size">>;
  readonly gluFwd: Op<K, Named<"x" | "y", K["tensor"]>, Sizes<"rows" | "d_model"> & Accumulate>;
  readonly gluBwd: Op<K, Named<"grad_y" | "x", K["tensor"]>, Sizes<"rows" | "d_model">>;
}

type VocabSizes = Sizes<"vocab_size" | "real_vocab_size">;

/** What is done to logits. */
interface HeadOps<K extends Kinds> {
  readonly sampleFwd: Op<
    K,
    Named<"settings" | "logits" | "seen" | "tokens" | "draws" | "ring", K["tensor"]>,
    VocabSizes & Sizes<"batch">
  >;
  readonly tokenScoreFwd: Op<
    K,
    Named<"logits" | "targets" | "y", K["tensor"]>,
    VocabSizes & Sizes<"rows">
  >;
  readonly crossEntropy: Op<
    K,
    Named<"logits" | "targets" | "loss", K["tensor"]>,
    VocabSizes & Sizes<"rows" | "scale"> & Options<"smoothing">
  >;
}

/** One state of each sequence in a tensor (batch, slots, ...). */
export interface StateSlot<K extends Kinds> {
  readonly tensor: K["tensor"];
  /** States of each sequence. */
  readonly slots: number;
  /** Which of them. */
  readonly slot: number;
}

/** Sums, copies and the step of training. */
interface UpdateOps<K extends Kinds> {
  readonly sumPartials: Op<
    K,
    Named<"partials" | "y", K["tensor"]>,
    Sizes<"parts" | "size"> & Accumulate
  >;
  readonly stateCopy: Op<
    K,
    { readonly from: StateSlot<K>; readonly to: StateSlot<K> },
    Sizes<"batch" | "size">
  >;
  readonly gradNorm: Op<
    K,
    Named<"gradients" | "partials" | "clip", K["tensor"]>,
    Sizes<"size" | "maxNorm">
  >;
  readonly adamwUpdate: Op<
    K,
    Named<"weight" | "grad" | "m" | "v" | "clip" | "schedule", K["tensor"]>,
    Sizes<"size" | "beta1" | "beta2" | "eps" | "weight_decay"> & Options<"rate">
  >;
}
