/** Gradients of what comes before the recurrence of Mamba-3. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import anglesSource from "../../../kernels/mamba3_angles_bwd.wgsl" with { type: "text" };
import biasSource from "../../../kernels/mamba3_bias_bwd.wgsl" with { type: "text" };
import normSource from "../../../kernels/mamba3_norm_bwd.wgsl" with { type: "text" };
import ratesSource from "../../../kernels/mamba3_rates_bwd.wgsl" with { type: "text" };
import vkqSource from "../../../kernels/mamba3_vkq_bwd.wgsl" with { type: "text" };
import { type Mamba3Options, type Mamba3Sizes, mamba3Widths } from "../../model/mamba3_sizes.ts";
import { defineKernel } from "../define_kernel.ts";
import { mamba3Overrides } from "../mamba3_inputs.ts";
import { placeholders } from "../placeholders.ts";
import { columnSum } from "./linear_bwd.ts";

/** Lanes of a workgroup of mamba3_angles_bwd and mamba3_bias_bwd. */
const LANES = 64;

/** Back through the turns, and to x. */
export const mamba3VkqBwdKernel = defineKernel({
  name: "mamba3_vkq_bwd",
  source: vkqSource,
  preludes: ["_angle"],
  bindings: {
    zxBCdt: "read",
    mimo_x: "read",
    thetas: "read",
    vkq: "read",
    grad_vkq: "read_write",
    grad_thetas: "write",
    grad_zxBCdt: "write",
  },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "RANK", "ANGLES", "MIMO", "D_IN_PROJ"],
  sizes: (values, [, seqlen, batch]) => {
    const { NHEADS, HEADDIM, D_STATE, RANK, ANGLES, MIMO, D_IN_PROJ } = values;
    const rows = batch * seqlen;
    const vkq = rows * RANK * NHEADS * (HEADDIM + 2 * D_STATE);
    return {
      zxBCdt: rows * D_IN_PROJ,
      mimo_x: MIMO * NHEADS * RANK * HEADDIM,
      thetas: rows * NHEADS * ANGLES,
      vkq,
      grad_vkq: vkq,
      grad_thetas: rows * NHEADS * ANGLES,
      grad_zxBCdt: rows * D_IN_PROJ,
    };
  },
});

/** Back through the norm of B or C. */
export const mamba3NormBwdKernel = defineKernel({
  name: "mamba3_norm_bwd",
  source: normSource,
  bindings: {
    zxBCdt: "read",
    weight: "read",
    grad_vkq: "read",
    grad_zxBCdt: "write",
    grad_norm: "read_write",
  },
  params: { seqlen: "u32" },
  overrides: [
    ...["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "RANK", "D_IN_PROJ"] as const,
    ...["START", "PLACE", "EPS"] as const,
  ],
  sizes: ({ NHEADS, HEADDIM, D_STATE, RANK, D_IN_PROJ }, [, seqlen, batch]) => ({
    zxBCdt: batch * seqlen * D_IN_PROJ,
    weight: D_STATE,
    grad_vkq: batch * seqlen * RANK * NHEADS * (HEADDIM + 2 * D_STATE),
    grad_zxBCdt: batch * seqlen * D_IN_PROJ,
    grad_norm: batch * seqlen * D_STATE,
  }),
});

/** From the gradients of angles to those of turns. */
export const mamba3AnglesBwdKernel = defineKernel({
  name: "mamba3_angles_bwd",
  source: anglesSource,
  bindings: { grad_thetas: "read_write" },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "ANGLES"],
  sizes: ({ NHEADS, ANGLES, seqlen }, [, batch]) => ({
    grad_thetas: batch * seqlen * NHEADS * ANGLES,
  }),
});

/** Back through rates and turns. */
export const mamba3RatesBwdKernel = defineKernel({
  name: "mamba3_rates_bwd",
  source: ratesSource,
  preludes: ["_angle"],
  bindings: {
    zxBCdt: "read",
    dt_bias: "read",
    rates: "read",
    grad_rates: "read",
    grad_thetas: "read",
    grad_zxBCdt: "write",
    grad_dt_bias: "write",
  },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "ANGLES", "D_IN_PROJ", "DT_START", "HEAVY_TAIL", "A_FLOOR"],
  sizes: ({ NHEADS, ANGLES, D_IN_PROJ }, [, seqlen, batch]) => {
    const rows = batch * seqlen;
    return {
      zxBCdt: rows * D_IN_PROJ,
      dt_bias: NHEADS,
      rates: rows * NHEADS * 4,
      grad_rates: rows * NHEADS * 4,
      grad_thetas: rows * NHEADS * ANGLES,
      grad_zxBCdt: rows * D_IN_PROJ,
      grad_dt_bias: rows * NHEADS,
    };
  },
});

/** Sums over steps, in the order of the parameters. */
export const mamba3BiasBwdKernel = defineKernel({
  name: "mamba3_bias_bwd",
  source: biasSource,
  bindings: {
    sums: "read",
    grad_B_bias: "write",
    grad_C_bias: "write",
    grad_mimo_x: "read_write",
  },
  params: {},
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "RANK", "MIMO"],
  sizes: ({ NHEADS, HEADDIM, D_STATE, RANK, MIMO }) => ({
    sums: RANK * NHEADS * (HEADDIM + 2 * D_STATE),
    grad_B_bias: NHEADS * RANK * D_STATE,
    grad_C_bias: NHEADS * RANK * D_STATE,
    grad_mimo_x: MIMO * NHEADS * RANK * HEADDIM,
  }),
});

/**
 * Gradients of mamba3Inputs(), from those that mamba3ScanBwd() gives: all columns of grad_zxBCdt but z's, and those of the
 * weights; grad_mimo_x is added to.
 *
 * @param tensors grad_vkq is overwritten. grad_thetas (batch, seqlen, nheads, num_rope_angles), norm_rows (batch, seqlen,
 * d_state), dt_rows (batch, seqlen, nheads), vkq_sums (mimo_rank, [v, k, q]) and partials, see columnSumScratch(), are
 * scratch.
 */
export function mamba3InputsBwd(
  program: Program,
  tensors: {
    zxBCdt: Tensor;
    dt_bias: Tensor;
    B_norm: Tensor;
    C_norm: Tensor;
    mimo_x?: Tensor | undefined;
    rates: Tensor;
    thetas: Tensor;
    vkq: Tensor;
    grad_vkq: Tensor;
    grad_rates: Tensor;
    grad_zxBCdt: Tensor;
    grad_dt_bias: Tensor;
    grad_B_norm: Tensor;
    grad_C_norm: Tensor;
    grad_B_bias: Tensor;
    grad_C_bias: Tensor;
    grad_mimo_x?: Tensor | undefined;
    grad_thetas: Tensor;
    norm_rows: Tensor;
    dt_rows: Tensor;
    vkq_sums: Tensor;
    partials: Tensor;
  },
  shape: Mamba3Sizes & Mamba3Options & {
    batch: number;
    seqlen: number;
    eps: number;
    label: string;
  },
): void {
  const { zxBCdt, dt_bias, rates, thetas, vkq, grad_vkq, grad_rates, grad_zxBCdt } = tensors;
  const { grad_thetas, norm_rows, dt_rows, vkq_sums, partials } = tensors;
  const { batch, seqlen, nheads, headdim, d_state, mimo_rank, label } = shape;
  const { num_rope_angles: ANGLES } = shape;
  const rows = batch * seqlen;
  const widths = mamba3Widths(shape);
  const { read, write } = placeholders(program.gpu);
  const overrides = mamba3Overrides(shape);
  const { D_IN_PROJ, MIMO, ...sizes } = overrides;
  const each = [1, seqlen, batch] as const;
  program.add(mamba3VkqBwdKernel, {
    tensors: {
      ...{ zxBCdt, thetas, vkq, grad_vkq, grad_thetas, grad_zxBCdt },
      mimo_x: tensors.mimo_x ?? read,
    },
    overrides: { ...overrides, ANGLES },
    params: { seqlen },
    workgroups: each,
    label: `${label}.vkq`,
  });
  const columns = (
    name: string,
    x: Tensor,
    y: Tensor,
    width: number,
  ) => columnSum(program, { x, partials, y }, { rows, columns: width, label: `${label}.${name}` });
  for (const name of ["B", "C"] as const) {
    const isB = name === "B";
    program.add(mamba3NormBwdKernel, {
      tensors: {
        ...{ zxBCdt, grad_vkq, grad_zxBCdt, grad_norm: norm_rows },
        weight: isB ? tensors.B_norm : tensors.C_norm,
      },
      overrides: {
        ...sizes,
        D_IN_PROJ,
        NGROUPS: shape.ngroups,
        START: isB ? widths.B : widths.C,
        PLACE: widths.d_inner + (isB ? 0 : nheads * d_state),
        EPS: shape.eps,
      },
      params: { seqlen },
      workgroups: each,
      label: `${label}.${name}_norm`,
    });
    const gradient = isB ? tensors.grad_B_norm : tensors.grad_C_norm;
    columns(`grad_${name}_norm`, norm_rows, gradient, d_state);
  }
  columns("grad_vkq", grad_vkq, vkq_sums, mimo_rank * widths.d_vkq);
  program.add(mamba3BiasBwdKernel, {
    tensors: {
      sums: vkq_sums,
      grad_B_bias: tensors.grad_B_bias,
      grad_C_bias: tensors.grad_C_bias,
      grad_mimo_x: tensors.grad_mimo_x ?? write,
    },
    overrides: { ...sizes, MIMO },
    params: {},
    workgroups: [Math.ceil(nheads * mimo_rank * Math.max(d_state, headdim) / LANES), 1, 1],
    label: `${label}.bias`,
  });
  program.add(mamba3AnglesBwdKernel, {
    tensors: { grad_thetas },
    overrides: { NHEADS: nheads, ANGLES },
    params: { seqlen },
    workgroups: [Math.ceil(nheads * ANGLES / LANES), batch, 1],
    label: `${label}.angles`,
  });
  program.add(mamba3RatesBwdKernel, {
    tensors: {
      ...{ zxBCdt, dt_bias, rates, grad_rates, grad_thetas, grad_zxBCdt },
      grad_dt_bias: dt_rows,
    },
    overrides: {
      NHEADS: nheads,
      ANGLES,
      D_IN_PROJ,
      DT_START: widths.dd_dt,
      HEAVY_TAIL: shape.A_activation === "heavy_tail",
      A_FLOOR: shape.A_floor,
    },
    params: { seqlen },
    workgroups: each,
    label: `${label}.rates`,
  });
  columns("grad_dt_bias", dt_rows, tensors.grad_dt_bias, nheads);
}
