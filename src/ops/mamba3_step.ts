/** The recurrence of Mamba-3 for a single step. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import mimoSource from "../../kernels/mamba3_mimo_step.wgsl" with { type: "text" };
import stepSource from "../../kernels/mamba3_step.wgsl" with { type: "text" };
import turnSource from "../../kernels/mamba3_turn.wgsl" with { type: "text" };
import { type Mamba3Options, type Mamba3Sizes, mamba3Widths } from "../model/mamba3_sizes.ts";
import { defineKernel } from "./define_kernel.ts";
import { mamba3Overrides } from "./mamba3_inputs.ts";

/** Rates of a step in front of a head's k and q. */
const RATES = 4;

/** The rates, k, q and the angles. */
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
    ...["B_START", "DT_START", "EPS", "HEAVY_TAIL", "A_FLOOR"] as const,
  ],
  sizes: ({ NHEADS, D_STATE, RANK, ANGLES, D_IN_PROJ }, [, batch]) => ({
    zxBCdt: batch * D_IN_PROJ,
    dt_bias: NHEADS,
    B_norm: D_STATE,
    C_norm: D_STATE,
    B_bias: NHEADS * RANK * D_STATE,
    C_bias: NHEADS * RANK * D_STATE,
    theta: batch * NHEADS * ANGLES,
    kq: batch * NHEADS * (RATES + 2 * RANK * D_STATE),
  }),
});

/** The state, and the output, without MIMO. */
export const mamba3StepKernel = defineKernel({
  name: "mamba3_step",
  source: stepSource,
  preludes: ["_mamba3_step"],
  bindings: {
    zxBCdt: "read",
    kq: "read",
    D: "read",
    ssm_state: "read_write",
    k: "read_write",
    v: "read_write",
    y: "write",
  },
  params: {},
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "D_IN_PROJ", "GATED", "ROW"],
  sizes: ({ NHEADS, HEADDIM, D_STATE, D_IN_PROJ }, [, batch]) => ({
    zxBCdt: batch * D_IN_PROJ,
    kq: batch * NHEADS * (RATES + 2 * D_STATE),
    D: NHEADS,
    ssm_state: batch * NHEADS * HEADDIM * D_STATE,
    k: batch * NHEADS * D_STATE,
    v: batch * NHEADS * HEADDIM,
    y: batch * NHEADS * HEADDIM,
  }),
});

/** And with it. */
export const mamba3MimoStepKernel = defineKernel({
  name: "mamba3_mimo_step",
  source: mimoSource,
  preludes: ["_mamba3_step"],
  bindings: {
    zxBCdt: "read",
    kq: "read",
    D: "read",
    mimo_x: "read",
    ssm_state: "read_write",
    k: "read_write",
    v: "read_write",
    y: "write",
  },
  params: {},
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "RANK", "D_IN_PROJ", "ROW"],
  sizes: ({ NHEADS, HEADDIM, D_STATE, RANK, D_IN_PROJ }, [, batch]) => ({
    zxBCdt: batch * D_IN_PROJ,
    kq: batch * NHEADS * (RATES + 2 * RANK * D_STATE),
    D: NHEADS,
    mimo_x: NHEADS * RANK * HEADDIM,
    ssm_state: batch * NHEADS * HEADDIM * D_STATE,
    k: batch * RANK * NHEADS * D_STATE,
    v: batch * NHEADS * HEADDIM,
    y: batch * RANK * NHEADS * HEADDIM,
  }),
});

/** Lanes that a channel has the most, and floats of workgroup memory that every device has. */
const MOST_LANES = 32, MEMORY_FLOATS = 4096;

/** Lanes of a channel, as many as memory has place for a part of each channel's sum; 0 if not even one. */
function lanesOfRow({ headdim, d_state, mimo_rank, is_mimo }: Mamba3Sizes): number {
  // With MIMO sums are of four ranks, and there are what x and v bring, for each rank.
  const ranks = is_mimo ? Math.ceil(mimo_rank / 4) * 4 : 1;
  for (let lanes = MOST_LANES; lanes >= 1; lanes /= 2) {
    const states = Math.ceil(d_state / (4 * lanes)) * 4 * lanes;
    const sums = headdim * lanes * (is_mimo ? 4 : 1);
    const brought = is_mimo ? 2 * ranks * headdim : 0;
    if (sums + brought + 3 * ranks * states <= MEMORY_FLOATS) return lanes;
  }
  return 0;
}

/** Elements of kq, for sequences of one step. */
export function mamba3StepScratch(
  { batch, nheads, d_state, mimo_rank }: Mamba3Sizes & { readonly batch: number },
): number {
  return batch * nheads * (RATES + 2 * mimo_rank * d_state);
}

/** Whether mamba3Step() takes these sizes: kq must lie in what vkq has place for. */
export function takesMamba3Step(sizes: Mamba3Sizes): boolean {
  const rows = sizes.mimo_rank * mamba3Widths(sizes).d_vkq;
  return mamba3StepScratch({ ...sizes, batch: 1 }) <= rows && lanesOfRow(sizes) > 0;
}

/**
 * y (batch, mimo_rank, d_inner) of one step; theta, ssm_state, k and v move on.
 *
 * @param tensors zxBCdt (batch, d_in_proj) is in_proj's output; mimo_x is there for MIMO; kq is scratch, see
 * {@linkcode mamba3StepScratch}.
 * @param shape `gated`, of one rank alone: y is multiplied by silu(z). See {@linkcode takesMamba3Step}.
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
    mimo_x?: Tensor | undefined;
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
  const { zxBCdt, dt_bias, B_norm, C_norm, B_bias, C_bias, theta, kq, mimo_x } = tensors;
  const { D, ssm_state, k, v, y } = tensors;
  const { batch, nheads, ngroups, num_rope_angles, gated, label } = shape;
  const { B, dd_dt } = mamba3Widths(shape);
  const { HEADDIM, MIMO, RANK, ...sizes } = mamba3Overrides(shape);
  const workgroups = [nheads, batch, 1] as const;
  program.add(mamba3TurnKernel, {
    tensors: { zxBCdt, dt_bias, B_norm, C_norm, B_bias, C_bias, theta, kq },
    overrides: {
      ...{ ...sizes, MIMO, RANK, NGROUPS: ngroups, ANGLES: num_rope_angles },
      ...{ B_START: B, DT_START: dd_dt, EPS: shape.eps },
      HEAVY_TAIL: shape.A_activation === "heavy_tail",
      A_FLOOR: shape.A_floor,
    },
    params: {},
    workgroups,
    label: `${label}.turn`,
  });
  const own = { zxBCdt, kq, D, ssm_state, k, v, y };
  const overrides = { ...sizes, HEADDIM, ROW: lanesOfRow(shape) };
  if (mimo_x === undefined) {
    program.add(mamba3StepKernel, {
      tensors: own,
      overrides: { ...overrides, GATED: gated },
      ...{ params: {}, workgroups, label },
    });
    return;
  }
  program.add(mamba3MimoStepKernel, {
    tensors: { ...own, mimo_x },
    overrides: { ...overrides, RANK },
    ...{ params: {}, workgroups, label },
  });
}
