/** What comes before the recurrence of Mamba-3: its rates, its angles, and v, k and q. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import anglesSource from "../../kernels/mamba3_angles.wgsl" with { type: "text" };
import ratesSource from "../../kernels/mamba3_rates.wgsl" with { type: "text" };
import vkqSource from "../../kernels/mamba3_vkq.wgsl" with { type: "text" };
import { type Mamba3Options, type Mamba3Sizes, mamba3Widths } from "../model/mamba3_sizes.ts";
import { defineKernel } from "./define_kernel.ts";
import { placeholders } from "./placeholders.ts";

/** Lanes of a workgroup of mamba3_rates and mamba3_angles. */
const LANES = 64;

/** dt, and what follows from it. */
export const mamba3RatesKernel = defineKernel({
  name: "mamba3_rates",
  source: ratesSource,
  bindings: { zxBCdt: "read", dt_bias: "read", rates: "write" },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "D_IN_PROJ", "DT_START", "HEAVY_TAIL", "A_FLOOR"],
  sizes: ({ NHEADS, D_IN_PROJ, seqlen }, [, batch]) => ({
    zxBCdt: batch * seqlen * D_IN_PROJ,
    dt_bias: NHEADS,
    rates: batch * NHEADS * seqlen * 4,
  }),
});

/** The angles. */
export const mamba3AnglesKernel = defineKernel({
  name: "mamba3_angles",
  source: anglesSource,
  preludes: ["_angle"],
  bindings: { zxBCdt: "read", rates: "read", theta: "read_write", thetas: "write" },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "ANGLES", "D_IN_PROJ"],
  sizes: ({ NHEADS, ANGLES, D_IN_PROJ, seqlen }, [, batch]) => ({
    zxBCdt: batch * seqlen * D_IN_PROJ,
    rates: batch * NHEADS * seqlen * 4,
    theta: batch * NHEADS * ANGLES,
    thetas: batch * seqlen * NHEADS * ANGLES,
  }),
});

/** v, k and q. */
export const mamba3VkqKernel = defineKernel({
  name: "mamba3_vkq",
  source: vkqSource,
  preludes: ["_angle"],
  bindings: {
    zxBCdt: "read",
    B_norm: "read",
    C_norm: "read",
    B_bias: "read",
    C_bias: "read",
    mimo_x: "read",
    thetas: "read",
    vkq: "write",
  },
  params: { seqlen: "u32" },
  overrides: [
    ...["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "RANK", "ANGLES", "MIMO"] as const,
    ...["D_IN_PROJ", "EPS"] as const,
  ],
  sizes: (values, [, seqlen, batch]) => {
    const { NHEADS, HEADDIM, D_STATE, RANK, ANGLES, MIMO, D_IN_PROJ } = values;
    const rows = batch * seqlen;
    return {
      zxBCdt: rows * D_IN_PROJ,
      B_norm: D_STATE,
      C_norm: D_STATE,
      B_bias: NHEADS * RANK * D_STATE,
      C_bias: NHEADS * RANK * D_STATE,
      mimo_x: MIMO * NHEADS * RANK * HEADDIM,
      thetas: rows * NHEADS * ANGLES,
      vkq: rows * RANK * NHEADS * (HEADDIM + 2 * D_STATE),
    };
  },
});

/**
 * rates (batch, nheads, seqlen, 4), thetas (batch, seqlen, nheads, num_rope_angles) and vkq (batch, seqlen, mimo_rank,
 * [v, k, q]), as the kernels say; theta (batch, nheads, num_rope_angles) moves on, and stays in [-pi, pi].
 *
 * @param tensors zxBCdt (batch, seqlen, d_in_proj) is in_proj's output; mimo_x is there for MIMO.
 */
export function mamba3Inputs(
  program: Program,
  tensors: {
    zxBCdt: Tensor;
    dt_bias: Tensor;
    B_norm: Tensor;
    C_norm: Tensor;
    B_bias: Tensor;
    C_bias: Tensor;
    mimo_x?: Tensor | undefined;
    theta: Tensor;
    rates: Tensor;
    thetas: Tensor;
    vkq: Tensor;
  },
  shape: Mamba3Sizes & Mamba3Options & {
    batch: number;
    seqlen: number;
    eps: number;
    label: string;
  },
): void {
  const { zxBCdt, dt_bias, rates, theta, thetas, vkq, ...weights } = tensors;
  const { batch, seqlen, nheads, num_rope_angles, label } = shape;
  const { d_in_proj, dd_dt } = mamba3Widths(shape);
  program.add(mamba3RatesKernel, {
    tensors: { zxBCdt, dt_bias, rates },
    overrides: {
      NHEADS: nheads,
      D_IN_PROJ: d_in_proj,
      DT_START: dd_dt,
      HEAVY_TAIL: shape.A_activation === "heavy_tail",
      A_FLOOR: shape.A_floor,
    },
    params: { seqlen },
    workgroups: [Math.ceil(seqlen * nheads / LANES), batch, 1],
    label: `${label}.rates`,
  });
  program.add(mamba3AnglesKernel, {
    tensors: { zxBCdt, rates, theta, thetas },
    overrides: { NHEADS: nheads, ANGLES: num_rope_angles, D_IN_PROJ: d_in_proj },
    params: { seqlen },
    workgroups: [Math.ceil(nheads * num_rope_angles / LANES), batch, 1],
    label: `${label}.angles`,
  });
  program.add(mamba3VkqKernel, {
    tensors: {
      ...weights,
      ...{ zxBCdt, thetas, vkq },
      mimo_x: weights.mimo_x ?? placeholders(program.gpu).read,
    },
    overrides: {
      ...mamba3Overrides(shape),
      NGROUPS: shape.ngroups,
      ANGLES: num_rope_angles,
      EPS: shape.eps,
    },
    params: { seqlen },
    workgroups: [shape.mimo_rank, seqlen, batch],
    label: `${label}.vkq`,
  });
}

/** Sizes that most of Mamba-3's kernels have. */
export function mamba3Overrides(sizes: Mamba3Sizes) {
  const { nheads, headdim, d_state, mimo_rank, is_mimo } = sizes;
  return {
    NHEADS: nheads,
    HEADDIM: headdim,
    D_STATE: d_state,
    RANK: mimo_rank,
    MIMO: is_mimo,
    D_IN_PROJ: mamba3Widths(sizes).d_in_proj,
  };
}
