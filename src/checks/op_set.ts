/**
 * The ops that checks call, by the names and shapes of src/ops: each executor gives those that it has.
 *
 * What they compute, and what each tensor holds, is documented there. Programs, tensors and matrices are the executor's
 * own: checks make them through its {@linkcode Bench}, hand them to its ops, and look into none.
 */

import type { SsdOptions, SsdSizes } from "../model/ssd_sizes.ts";

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

/** All ops, and the sizes of the scratch that they need. */
export interface OpSet<Program = OpaqueProgram, Tensor = OpaqueTensor, Matrix = OpaqueMatrix>
  extends
    LinearOps<Program, Tensor, Matrix>,
    RowOps<Program, Tensor, Matrix>,
    Mamba1Ops<Program, Tensor, Matrix>,
    Mamba2Ops<Program, Tensor>,
    HeadOps<Program, Tensor>,
    UpdateOps<Program, Tensor> {}

/** The name of an op, or of what goes with one. */
export type OpName = keyof OpSet;

/** An op: records what computes `tensors` into a program. */
type Op<Program, Tensors, Shape> = (
  program: Program,
  tensors: Tensors,
  shape: Shape & { readonly label: string },
) => void;

/** These names, each for a tensor. */
type Named<Names extends string, Tensor> = { readonly [Name in Names]: Tensor };

/** Some of these names, each for a tensor. */
type Optional<Names extends string, Tensor> = { readonly [Name in Names]?: Tensor };

/** These sizes. */
type Sizes<Names extends string> = { readonly [Name in Names]: number };

/** Some of these sizes. */
type Options<Names extends string> = { readonly [Name in Names]?: number };

/** How x and y of a product lie in memory, and whether what is there is added to. */
type LinearShape = Sizes<"rows"> & Options<"ldX" | "xOffset" | "ldY">;

interface Accumulate {
  readonly accumulate?: boolean;
}

/** The side of a tile of the result, where the executor can choose it. */
type Tile = 64 | 128;

interface LinearTensors<Tensor, Matrix> {
  readonly x: Tensor;
  readonly weight: Matrix;
  readonly bias?: Tensor | undefined;
  readonly y: Tensor;
}

/** What a matvec does before and after the product, and how it is spread, where the executor can choose that. */
export interface MatvecOptions<Tensor = OpaqueTensor> {
  readonly norm?: { readonly weight: Tensor; readonly eps: number };
  readonly conv?: {
    readonly weight: Tensor;
    readonly bias?: Tensor | undefined;
    readonly state: Tensor;
    readonly d_conv: number;
    readonly d_inner: number;
    readonly start?: number;
  };
  readonly tiling?: Sizes<"lanes" | "groups">;
  readonly byGroups?: boolean;
}

/** Products with a weight. */
interface LinearOps<Program, Tensor, Matrix> {
  readonly matvecFwd: (
    program: Program,
    tensors: LinearTensors<Tensor, Matrix>,
    shape: LinearShape & { readonly residual?: boolean; readonly label: string },
    options?: MatvecOptions<Tensor>,
  ) => void;
  readonly matmulFwd: (
    program: Program,
    tensors: LinearTensors<Tensor, Matrix>,
    shape: LinearShape & { readonly residual?: boolean; readonly label: string },
    tile?: Tile,
  ) => void;
  readonly matmulBwdX: (
    program: Program,
    tensors: Named<"grad_y" | "grad_x", Tensor> & { readonly weight: Matrix },
    shape: LinearShape & Accumulate & { readonly label: string },
    tile?: Tile,
  ) => void;
  readonly matmulBwdW: (
    program: Program,
    tensors:
      & Named<"grad_y" | "x", Tensor>
      & Optional<"partials", Tensor | undefined>
      & { readonly grad_weight: Matrix },
    shape: LinearShape & Accumulate & { readonly label: string },
    tiling?: { readonly tile: Tile; readonly parts: number },
  ) => void;
  readonly columnSum: Op<
    Program,
    Named<"x" | "partials" | "y", Tensor>,
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
interface RowOps<Program, Tensor, Matrix> {
  /** y = softplus(x), as the ops of the recurrences compute it within. */
  readonly softplus: Op<Program, Named<"x" | "y", Tensor>, Sizes<"size">>;
  readonly embeddingFwd: Op<
    Program,
    Named<"ids" | "y", Tensor> & Optional<"seen", Tensor> & { readonly weight: Matrix },
    Sizes<"batch" | "seqlen">
  >;
  readonly embeddingBwd: Op<
    Program,
    & Named<"ids" | "grad_y", Tensor>
    & Optional<"partials", Tensor>
    & { readonly grad_weight: Matrix },
    Sizes<"rows"> & Accumulate
  >;
  readonly embeddingBwdParts: (rows: number, vocab_size: number) => number;
  readonly rmsNormFwd: Op<
    Program,
    Named<"x" | "weight" | "y", Tensor>,
    Sizes<"rows" | "d_model" | "eps"> & Options<"ldX" | "xOffset">
  >;
  readonly rmsNormBwd: Op<
    Program,
    Named<"x" | "weight" | "grad_y" | "grad_x" | "partials" | "grad_weight", Tensor>,
    & Sizes<"rows" | "d_model" | "eps">
    & Options<"ldX" | "xOffset">
    & { readonly accumulateX?: boolean; readonly accumulateWeight?: boolean }
  >;
  readonly rmsNormBwdParts: (rows: number) => number;
  readonly gatedRmsNormFwd: Op<
    Program,
    Named<"y" | "z" | "out", Tensor> & Optional<"weight", Tensor | undefined>,
    GatedNorm
  >;
  readonly gatedRmsNormBwd: Op<
    Program,
    Named<"y" | "z" | "grad_out" | "grad_z", Tensor> & {
      readonly norm?: Named<"weight" | "partials" | "grad_weight", Tensor> | undefined;
    },
    GatedNorm & Options<"ldGradZ" | "gradZOffset"> & Accumulate
  >;
  readonly gatedRmsNormBwdParts: (rows: number) => number;
  readonly meanPoolFwd: Op<Program, Named<"x" | "pool_state" | "y", Tensor>, PoolSizes>;
  readonly meanPoolBwd: Op<
    Program,
    Named<"grad_y" | "grad_x", Tensor>,
    PoolSizes & Options<"count">
  >;
  readonly lastStepBwd: Op<Program, Named<"grad_y" | "grad_x", Tensor>, PoolSizes>;
  readonly dropout: Op<
    Program,
    Named<"x" | "draw" | "y", Tensor>,
    Sizes<"size" | "probability" | "seed" | "site"> & Accumulate
  >;
}

type ConvSizes = Sizes<"batch" | "seqlen" | "d_inner" | "d_conv">;
type ScanSizes = Sizes<"batch" | "d_inner" | "d_state" | "dt_rank">;
type RatesSizes = Sizes<"d_inner" | "d_state">;
type ScanTensors<Tensor> = Named<"u" | "dt" | "x_dbl" | "xz" | "A_log" | "D" | "ssm_state", Tensor>;

/** What Mamba-1 is made of; its convolution is Mamba-2's, too. */
interface Mamba1Ops<Program, Tensor, Matrix> {
  readonly conv1dFwd: Op<
    Program,
    Named<"x" | "weight" | "conv_state" | "y", Tensor> & Optional<"bias", Tensor | undefined>,
    ConvSizes & Options<"ldX" | "xOffset">
  >;
  readonly conv1dBwd: Op<
    Program,
    & Named<"x" | "weight" | "conv_state" | "grad_y" | "grad_x" | "grad_conv_state", Tensor>
    & Named<"grad_weight" | "partials", Tensor>
    & Optional<"bias" | "grad_final" | "grad_bias", Tensor | undefined>,
    ConvSizes & Options<"ldX" | "xOffset" | "ldGradX" | "gradXOffset"> & Accumulate
  >;
  readonly conv1dBwdScratch: (shape: ConvSizes) => number;
  readonly dtBCNormFwd: Op<
    Program,
    Named<"x_dbl" | "rstd", Tensor>,
    Sizes<"rows" | "dt_rank" | "d_state" | "eps">
  >;
  readonly dtBCNormBwd: Op<
    Program,
    Named<"x_dbl" | "rstd" | "grad_x_dbl", Tensor>,
    Sizes<"rows" | "dt_rank" | "d_state">
  >;
  /** Steps from one state to the next that selectiveScanFwd() keeps. */
  readonly SCAN_CHUNK: number;
  readonly selectiveScanFwd: Op<
    Program,
    ScanTensors<Tensor> & Named<"y", Tensor> & Optional<"rates", Tensor>,
    ScanSizes & Sizes<"seqlen"> & { readonly keep?: boolean }
  >;
  readonly selectiveScanStep: Op<
    Program,
    & Named<"xz" | "x_dbl" | "dt_bias" | "A_log" | "D" | "ssm_state" | "y", Tensor>
    & Optional<"rates", Tensor>
    & { readonly dt_weight: Matrix },
    ScanSizes
  >;
  /** What scans read in place of A_log, of an executor that makes it once for all of them. */
  readonly scanRates: Op<Program, Named<"A_log" | "rates", Tensor>, RatesSizes>;
  readonly scanRatesSize: (shape: RatesSizes) => number;
  readonly selectiveScanBwd: Op<
    Program,
    & ScanTensors<Tensor>
    & Named<"grad_y" | "grad_xz" | "grad_x_dbl" | "grad_A_log" | "grad_D" | "grad_state", Tensor>
    & Named<"partials_BC" | "partials_params", Tensor>,
    ScanSizes & Sizes<"seqlen"> & Accumulate & { readonly gradFinal?: boolean }
  >;
  readonly selectiveScanBwdSum: Op<
    Program,
    Named<"partials" | "grad_x_dbl", Tensor>,
    Sizes<"rows" | "blocks" | "d_state" | "dt_rank">
  >;
  readonly scanBwdScratch: (
    shape: Sizes<"batch" | "seqlen" | "d_inner" | "d_state">,
  ) => Sizes<"partials_BC" | "partials_params">;
}

type SsdShape = SsdSizes & SsdOptions & Sizes<"batch" | "seqlen">;
type SsdWeights<Tensor> = Named<"xBC" | "zxbcdt" | "A_log" | "D" | "dt_bias", Tensor>;

/** Mamba-2's recurrence. */
interface Mamba2Ops<Program, Tensor> {
  readonly ssdStep: Op<
    Program,
    SsdWeights<Tensor> & Named<"ssm_state" | "y", Tensor>,
    & SsdSizes
    & SsdOptions
    & Sizes<"batch">
    & Options<"ldXBC" | "xBCOffset">
    & { readonly gated?: boolean }
  >;
  readonly ssdFwd: Op<
    Program,
    & SsdWeights<Tensor>
    & Named<"ssm_state" | "y" | "decays" | "CB", Tensor>
    & Optional<"states", Tensor | undefined>,
    SsdShape & Options<"chunk">
  >;
  readonly ssdScratch: (
    shape: SsdSizes & Sizes<"batch" | "seqlen"> & Options<"chunk">,
  ) => Sizes<"decays" | "CB" | "states">;
  readonly ssdDecays: Op<
    Program,
    Named<"zxbcdt" | "A_log" | "dt_bias" | "decays", Tensor>,
    SsdShape & Sizes<"chunk">
  >;
  readonly ssdCBFwd: Op<Program, Named<"xBC" | "CB", Tensor>, SsdShape & Sizes<"chunk">>;
  readonly ssdStates: Op<
    Program,
    Named<"x" | "xBC" | "decays" | "states", Tensor>,
    SsdShape & Sizes<"chunk"> & { readonly keep: boolean; readonly backward: boolean }
  >;
  readonly ssdPass: Op<
    Program,
    Named<"decays" | "states" | "ssm_state", Tensor>,
    SsdShape & Sizes<"chunk"> & {
      readonly keep: boolean;
      readonly reverse: boolean;
      readonly fromZero: boolean;
    }
  >;
  readonly ssdBwd: Op<
    Program,
    & SsdWeights<Tensor>
    & Named<"ssm_state" | "grad_y" | "grad_xBC" | "grad_zxbcdt" | "grad_A_log" | "grad_D", Tensor>
    & Named<"grad_dt_bias" | "grad_state" | "decays" | "CB" | "grad_CB" | "grad_states", Tensor>
    & Named<"sums" | "partials", Tensor>,
    SsdShape & Sizes<"chunk"> & Accumulate & { readonly gradFinal?: boolean }
  >;
  readonly ssdBwdScratch: (
    shape: SsdShape & Sizes<"chunk">,
  ) => Sizes<"decays" | "CB" | "grad_CB" | "grad_states" | "sums" | "partials">;
}

type VocabSizes = Sizes<"vocab_size" | "real_vocab_size">;

/** What is done to logits. */
interface HeadOps<Program, Tensor> {
  readonly sampleFwd: Op<
    Program,
    Named<"settings" | "logits" | "seen" | "tokens" | "draws" | "ring", Tensor>,
    VocabSizes & Sizes<"batch">
  >;
  readonly tokenScoreFwd: Op<
    Program,
    Named<"logits" | "targets" | "y", Tensor>,
    VocabSizes & Sizes<"rows">
  >;
  readonly crossEntropy: Op<
    Program,
    Named<"logits" | "targets" | "loss", Tensor>,
    VocabSizes & Sizes<"rows" | "scale"> & Options<"smoothing">
  >;
  /** The target of a row that counts for nothing. */
  readonly IGNORED_TARGET: number;
}

interface Slot<Tensor> {
  readonly tensor: Tensor;
  readonly slots: number;
  readonly slot: number;
}

/** Sums, copies and the step of training. */
interface UpdateOps<Program, Tensor> {
  readonly sumPartials: Op<
    Program,
    Named<"partials" | "y", Tensor>,
    Sizes<"parts" | "size"> & Accumulate
  >;
  readonly stateCopy: Op<
    Program,
    { readonly from: Slot<Tensor>; readonly to: Slot<Tensor> },
    Sizes<"batch" | "size">
  >;
  readonly rowCopy: Op<
    Program,
    Named<"table" | "own" | "rows", Tensor>,
    Sizes<"row" | "units"> & { readonly toOwn: boolean }
  >;
  readonly rowTable: (
    parts: readonly Sizes<"size" | "own" | "rows">[],
  ) => Uint32Array<ArrayBuffer>;
  readonly gradNorm: Op<
    Program,
    Named<"gradients" | "partials" | "clip", Tensor>,
    Sizes<"size" | "maxNorm">
  >;
  readonly gradNormParts: (size: number) => number;
  /** Elements of a part, of which gradNorm() tells the sum of squares. */
  readonly NORM_PART: number;
  /** Elements of gradNorm()'s `clip`. */
  readonly CLIP_SIZE: number;
  readonly adamwUpdate: Op<
    Program,
    Named<"weight" | "grad" | "m" | "v" | "clip" | "schedule", Tensor>,
    Sizes<"size" | "beta1" | "beta2" | "eps" | "weight_decay">
  >;
  readonly encodeAdamwSchedule: (
    step: number,
    learningRate: number,
    betas: Sizes<"beta1" | "beta2">,
  ) => Float32Array<ArrayBuffer>;
}
