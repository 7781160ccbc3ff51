/** What matvec_fwd, matvec_rows and matvec_tiles have in common: see _matvec.wgsl for what is done besides a product. */

import type { Tensor } from "../gpu/tensor.ts";
import { blockWords } from "./matrix.ts";

/** Bindings of all three. */
export const MATVEC_BINDINGS = {
  x: "read",
  norm_weight: "read",
  weight: "read",
  bias: "read",
  conv_weight: "read",
  conv_bias: "read",
  conv_state: "read_write",
  y: "read_write",
} as const;

/** Overrides of the product, and of what comes before and after it. */
export const MATVEC_OVERRIDES = [
  "D_IN",
  "W_STRIDE",
  "W_DTYPE",
  "ROW_START",
  "ROWS",
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

/** Elements of what they read and write, for so many rows of x. */
export function matvecSizes(
  values: Readonly<
    Record<
      | "D_IN"
      | "W_STRIDE"
      | "W_DTYPE"
      | "ROW_START"
      | "ROWS"
      | "NORM"
      | "BIAS"
      | "CONV"
      | "CONV_BIAS"
      | "D_CONV"
      | "D_INNER"
      | "ld_x"
      | "x_offset"
      | "ld_y",
      number
    >
  >,
  rows: number,
): Record<keyof typeof MATVEC_BINDINGS, number> {
  const { D_IN, ROW_START, ROWS, D_CONV, D_INNER } = values;
  return {
    x: values.x_offset + (rows - 1) * values.ld_x + D_IN,
    norm_weight: values.NORM * D_IN,
    weight: blockWords(ROWS, values.W_STRIDE, values.W_DTYPE),
    bias: values.BIAS * (ROW_START + ROWS),
    conv_weight: values.CONV * D_INNER * D_CONV,
    conv_bias: values.CONV_BIAS * D_INNER,
    conv_state: values.CONV * rows * D_INNER * D_CONV,
    y: (rows - 1) * values.ld_y + ROW_START + ROWS,
  };
}

/** What matvecFwd() says of one block of its weight. */
export interface MatvecBlock {
  readonly tensors: Readonly<
    Record<keyof typeof MATVEC_BINDINGS, Tensor>
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
