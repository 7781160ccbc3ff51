/** What matvec_fwd, matvec_rows and matvec_tiles have in common: see _matvec.wgsl for what is done besides a product. */

import type { Tensor } from "../gpu/tensor.ts";

/** Overrides of what comes before and after a product. */
export const MATVEC_OVERRIDES = [
  "ALIGNED",
  "NORM",
  "EPS",
  "BIAS",
  "RESIDUAL",
  "CONV",
  "CONV_BIAS",
  "D_CONV",
  "CONV_START",
  "D_INNER",
] as const;

/** Elements of what is read and written after a product, for so many rows of x. */
export function endingSizes(
  values: Readonly<
    Record<
      "ROW_START" | "ROWS" | "BIAS" | "CONV" | "CONV_BIAS" | "D_CONV" | "D_INNER" | "ld_y",
      number
    >
  >,
  rows: number,
): Record<"bias" | "conv_weight" | "conv_bias" | "conv_state" | "y", number> {
  const { ROW_START, ROWS, BIAS, CONV, CONV_BIAS, D_CONV, D_INNER, ld_y } = values;
  return {
    bias: BIAS * (ROW_START + ROWS),
    conv_weight: CONV * D_INNER * D_CONV,
    conv_bias: CONV_BIAS * D_INNER,
    conv_state: CONV * rows * D_INNER * D_CONV,
    y: (rows - 1) * ld_y + ROW_START + ROWS,
  };
}

/** What matvecFwd() says of one block of its weight. */
export interface MatvecBlock {
  readonly tensors: Readonly<
    Record<
      | "x"
      | "norm_weight"
      | "weight"
      | "bias"
      | "conv_weight"
      | "conv_bias"
      | "conv_state"
      | "y",
      Tensor
    >
  >;
  readonly overrides:
    & Readonly<
      Record<
        | "D_IN"
        | "W_STRIDE"
        | "W_DTYPE"
        | "ROW_START"
        | "ROWS"
        | "EPS"
        | "D_CONV"
        | "CONV_START"
        | "D_INNER",
        number
      >
    >
    & Readonly<Record<"ALIGNED" | "NORM" | "BIAS" | "RESIDUAL" | "CONV" | "CONV_BIAS", boolean>>;
  readonly params: Readonly<Record<"ld_x" | "x_offset" | "ld_y", number>>;
  readonly label: string;
}
