/** matvec_fwd: y = x weight^T + bias for the rows of a step, few or many, with what comes before and after it. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/matvec_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import type { LinearShape, LinearTensors } from "./linear.ts";
import { areMultiplesOf4 } from "./matmul_tile.ts";
import { W_DTYPE } from "./matrix.ts";
import { MATVEC_BINDINGS, MATVEC_OVERRIDES, matvecSizes } from "./matvec_block.ts";
import { matvecByRows } from "./matvec_rows.ts";
import { matvecByTiles } from "./matvec_tiles.ts";
import { type MatvecTiling, matvecTiling, type MatvecWay, matvecWay } from "./matvec_tiling.ts";
import { placeholders } from "./placeholders.ts";

/** The kernel for few rows. */
export const matvecFwdKernel = defineKernel({
  name: "matvec_fwd",
  source,
  preludes: ["_weight", "_chains", "_matvec"],
  bindings: MATVEC_BINDINGS,
  params: { ld_x: "u32", x_offset: "u32", ld_y: "u32" },
  overrides: [...MATVEC_OVERRIDES, "EACH", "GROUPS", "AT_ONCE"],
  sizes: (values, [, rows]) => matvecSizes(values, rows),
});

/** What a matvec does before and after the product: see the kernel's NORM and CONV. */
export interface MatvecFusion {
  /** RMSNorm of x first. */
  readonly norm?: { readonly weight: Tensor; readonly eps: number };
  /** The step of conv1d and SiLU on d_inner columns of y, from `start` on (default 0). */
  readonly conv?: {
    readonly weight: Tensor;
    readonly bias?: Tensor | undefined;
    readonly state: Tensor;
    readonly d_conv: number;
    readonly d_inner: number;
    readonly start?: number;
  };
}

/**
 * y (rows, out) = x weight^T + bias, with what can be fused, for a step: a row has the same bits however many there are.
 *
 * @param options.way How rows are computed; default the quickest.
 */
export function matvecFwd(
  program: Program,
  tensors: LinearTensors,
  shape: LinearShape,
  options: MatvecFusion & { tiling?: MatvecTiling; way?: MatvecWay } = {},
): void {
  const { x, weight, bias, y } = tensors;
  const { rows, ldX = weight.columns, xOffset = 0, ldY = weight.rows, residual = false, label } =
    shape;
  const { norm, conv } = options;
  const unused = placeholders(program.gpu);
  for (const block of weight.blocks) {
    const use = {
      tensors: {
        x,
        norm_weight: norm?.weight ?? unused.read,
        weight: block.tensor,
        bias: bias ?? unused.read,
        conv_weight: conv?.weight ?? unused.read,
        conv_bias: conv?.bias ?? unused.read,
        conv_state: conv?.state ?? unused.write,
        y,
      },
      overrides: {
        D_IN: weight.columns,
        W_STRIDE: weight.stride,
        W_DTYPE: W_DTYPE[weight.dtype],
        ROW_START: block.rowStart,
        ROWS: block.rows,
        ALIGNED: areMultiplesOf4(weight.columns, ldX, xOffset),
        NORM: norm !== undefined,
        EPS: norm?.eps ?? 0,
        BIAS: bias !== undefined,
        RESIDUAL: residual,
        CONV: conv !== undefined,
        CONV_BIAS: conv?.bias !== undefined,
        D_CONV: conv?.d_conv ?? 1,
        CONV_START: conv?.start ?? 0,
        D_INNER: conv?.d_inner ?? 0,
      },
      params: { ld_x: ldX, x_offset: xOffset, ld_y: ldY },
      label,
    };
    const { columns } = weight;
    const { sizeBytes } = block.tensor;
    const way = options.way ?? matvecWay({ rows: block.rows, columns, sizeBytes }, rows);
    if (way !== "alone") {
      if ("each" in way) matvecByTiles(program, use, { rows, each: way.each });
      else matvecByRows(program, use, { rows, groups: way.groups });
      continue;
    }
    const { each, groups, atOnce } = options.tiling ??
      matvecTiling({ ...weight, rows: block.rows }, program.gpu.isSoftware);
    program.add(matvecFwdKernel, {
      ...use,
      overrides: { ...use.overrides, EACH: each, GROUPS: groups, AT_ONCE: atOnce },
      workgroups: [Math.ceil(block.rows / (each * groups)), rows, 1],
    });
  }
}
