/** The recurrence of Mamba-3 for a single step. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import stepSource from "../../kernels/mamba3_step.wgsl" with { type: "text" };
import turnSource from "../../kernels/mamba3_turn.wgsl" with { type: "text" };
import { type Mamba3Options, type Mamba3Sizes, mamba3Widths } from "../model/mamba3_sizes.ts";
import { defineKernel } from "./define_kernel.ts";

/** k, q and the angles. */
export const mamba3TurnKernel = defineKernel({
  name: "mamba3_turn",
  source: turnSource,
  preludes: ["_angle"],
  bindings: {
    zxBCdt: "read",
    dt_bias: "read",
    B_norm: "read",
    C_norm: "read",
    B_bias: "read",
    C_bias: "read",
    theta: "read_write",
    kq: "write",
  },
  params: {},
  overrides: [
    ...["NHEADS", "D_STATE", "NGROUPS", "RANK", "ANGLES", "MIMO", "D_IN_PROJ"] as const,
    ...["B_START", "DT_START", "EPS"] as const,
  ],
  sizes: ({ NHEADS, D_STATE, RANK, ANGLES, D_IN_PROJ }, [, batch]) => ({
    zxBCdt: batch * D_IN_PROJ,
    dt_bias: NHEADS,
    B_norm: D_STATE,
    C_norm: D_STATE,
    B_bias: NHEADS * RANK * D_STATE,
    C_bias: NHEADS * RANK * D_STATE,
    theta: batch * NHEADS * ANGLES,
    kq: batch * RANK * NHEADS * 2 * D_STATE,
  }),
});

/** The state, and the output. */
export const mamba3StepKernel = defineKernel({
  name: "mamba3_step",
  source: stepSource,
  bindings: {
    zxBCdt: "read",
    dt_bias: "read",
    kq: "read",
    D: "read",
    ssm_state: "read_write",
    k: "read_write",
    v: "read_write",
    y: "write",
  },
  params: {},
  overrides: [
    ...["NHEADS", "HEADDIM", "D_STATE", "D_IN_PROJ", "DT_START", "HEAVY_TAIL"] as const,
    ...["A_FLOOR", "GATED", "ROW"] as const,
  ],
  sizes: ({ NHEADS, HEADDIM, D_STATE, D_IN_PROJ }, [, batch]) => ({
    zxBCdt: batch * D_IN_PROJ,
    dt_bias: NHEADS,
    kq: batch * NHEADS * 2 * D_STATE,
    D: NHEADS,
    ssm_state: batch * NHEADS * HEADDIM * D_STATE,
    k: batch * NHEADS * D_STATE,
    v: batch * NHEADS * HEADDIM,
    y: batch * NHEADS * HEADDIM,
  }),
});

/** Lanes that a channel has the most, and floats of workgroup memory that every device has. */
const MOST_LANES = 32, MEMORY_FLOATS = 4096;

/** Lanes of a channel, as many as memory has place for a part of each channel's sum; 0 if not even one. */
function lanesOfRow({ headdim, d_state }: Mamba3Sizes): number {
  for (let lanes = MOST_LANES; lanes >= 1; lanes /= 2) {
    const states = Math.ceil(d_state / (4 * lanes)) * 4 * lanes;
    if (headdim * lanes + 3 * states <= MEMORY_FLOATS) return lanes;
  }
  return 0;
}

/** Whether mamba3Step() takes these sizes. */
export function takesMamba3Step(sizes: Mamba3Sizes): boolean {
  return !sizes.is_mimo && lanesOfRow(sizes) > 0;
}

/**
 * y (batch, d_inner) of one step without MIMO; theta, ssm_state, k and v move on.
 *
 * @param tensors zxBCdt (batch, d_in_proj) is in_proj's output; kq (batch, nheads, 2, d_state) is scratch.
 * @param shape `gated`: y is multiplied by silu(z). See {@linkcode takesMamba3Step}.
 */
export function mamba3Step(
  program: Program,
  tensors: {
    zxBCdt: Tensor;
    dt_bias: Tensor;
    B_norm: Tensor;
    C_norm: Tensor;
    B_bias: Tensor;
    C_bias: Tensor;
    D: Tensor;
    theta: Tensor;
    ssm_state: Tensor;
    k: Tensor;
    v: Tensor;
    kq: Tensor;
    y: Tensor;
  },
  shape: Mamba3Sizes & Mamba3Options & {
    batch: number;
    eps: number;
    gated: boolean;
    label: string;
  },
): void {
  const { zxBCdt, dt_bias, B_norm, C_norm, B_bias, C_bias, theta, kq, ...own } = tensors;
  const { batch, nheads, headdim, d_state, ngroups, num_rope_angles, label } = shape;
  const { d_in_proj, B, dd_dt } = mamba3Widths(shape);
  const sizes = { NHEADS: nheads, D_STATE: d_state, D_IN_PROJ: d_in_proj, DT_START: dd_dt };
  program.add(mamba3TurnKernel, {
    tensors: { zxBCdt, dt_bias, B_norm, C_norm, B_bias, C_bias, theta, kq },
    overrides: {
      ...sizes,
      NGROUPS: ngroups,
      RANK: 1,
      ANGLES: num_rope_angles,
      MIMO: false,
      B_START: B,
      EPS: shape.eps,
    },
    params: {},
    workgroups: [nheads, batch, 1],
    label: `${label}.turn`,
  });
  program.add(mamba3StepKernel, {
    tensors: {
      zxBCdt,
      dt_bias,
      kq,
      D: own.D,
      ssm_state: own.ssm_state,
      k: own.k,
      v: own.v,
      y: own.y,
    },
    overrides: {
      ...sizes,
      HEADDIM: headdim,
      HEAVY_TAIL: shape.A_activation === "heavy_tail",
      A_FLOOR: shape.A_floor,
      GATED: shape.gated,
      ROW: lanesOfRow(shape),
    },
    params: {},
    workgroups: [nheads, batch, 1],
    label,
  });
}
