/** ssd_step: the Mamba-2 recurrence for a single step. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/ssd_step.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { areMultiplesOf4 } from "./matmul_tile.ts";
import { dtLimits, type SsdOptions, type SsdSizes, ssdWidths } from "../model/ssd_sizes.ts";
import { byVec4sOrElements } from "./placeholders.ts";

/** The kernel. */
export const ssdStepKernel = defineKernel({
  name: "ssd_step",
  source,
  preludes: ["_chains"],
  bindings: {
    xBC: "read",
    zxbcdt: "read",
    A_log: "read",
    D: "read",
    dt_bias: "read",
    ssm_state: "read_write",
    ssm_state_elements: "read_write",
    y: "write",
  },
  params: { ld_xBC: "u32", xBC_offset: "u32" },
  overrides: [
    "NHEADS",
    "HEADDIM",
    "D_STATE",
    "NGROUPS",
    "DT_MIN",
    "DT_MAX",
    "D_HAS_HDIM",
    "GATED",
    "LANES",
    "CHANNELS",
    "ALIGNED",
  ],
  sizes: (values, [, batch]) => {
    const { NHEADS, HEADDIM, D_STATE, NGROUPS, D_HAS_HDIM, ALIGNED, ld_xBC, xBC_offset } = values;
    const sizes = { nheads: NHEADS, headdim: HEADDIM, d_state: D_STATE, ngroups: NGROUPS };
    const { d_inner, conv_dim, d_in_proj } = ssdWidths(sizes);
    const state = batch * d_inner * D_STATE;
    return {
      xBC: xBC_offset + (batch - 1) * ld_xBC + conv_dim,
      zxbcdt: batch * d_in_proj,
      A_log: NHEADS,
      D: D_HAS_HDIM ? d_inner : NHEADS,
      dt_bias: NHEADS,
      ssm_state: ALIGNED ? state : 0,
      ssm_state_elements: ALIGNED ? 0 : state,
      y: batch * d_inner,
    };
  },
});

/** Lanes of a workgroup. */
const LANES = 128;

/** Lanes a channel, where it has as many states. */
const LANES_PER_CHANNEL = 16;

/**
 * y (batch, d_inner) for one step; ssm_state (batch, nheads, headdim, d_state) moves on.
 *
 * @param tensors xBC (batch, conv_dim) is conv1d's output; zxbcdt (batch, d_in_proj) in_proj's, of which dt is read, and
 * z where the op is gated. Both may be one tensor.
 * @param shape `gated` (default false): y is multiplied by silu(z). Row b of xBC starts at element `xBCOffset + b *
 * ldXBC` (default: rows lie back to back).
 */
export function ssdStep(
  program: Program,
  tensors: {
    xBC: Tensor;
    zxbcdt: Tensor;
    A_log: Tensor;
    D: Tensor;
    dt_bias: Tensor;
    ssm_state: Tensor;
    y: Tensor;
  },
  shape: SsdSizes & SsdOptions & {
    batch: number;
    gated?: boolean;
    ldXBC?: number;
    xBCOffset?: number;
    label: string;
  },
): void {
  const { batch, nheads, headdim, d_state, ngroups, label } = shape;
  const { d_inner, conv_dim } = ssdWidths(shape);
  const { D_has_hdim = false, gated = false, ldXBC = conv_dim, xBCOffset = 0 } = shape;
  const lanes = Math.min(LANES_PER_CHANNEL, 2 ** Math.ceil(Math.log2(Math.ceil(d_state / 4))));
  const channels = LANES / lanes;
  const isAligned = areMultiplesOf4(d_state, d_inner, ldXBC, xBCOffset);
  const [ssm_state, ssm_state_elements] = byVec4sOrElements(
    program.gpu,
    tensors.ssm_state,
    isAligned,
  );
  program.add(ssdStepKernel, {
    tensors: { ...tensors, ssm_state, ssm_state_elements },
    overrides: {
      NHEADS: nheads,
      HEADDIM: headdim,
      D_STATE: d_state,
      NGROUPS: ngroups,
      ...dtLimits(shape.dt_limit),
      D_HAS_HDIM: D_has_hdim,
      GATED: gated,
      LANES: lanes,
      CHANNELS: channels,
      ALIGNED: isAligned,
    },
    params: { ld_xBC: ldXBC, xBC_offset: xBCOffset },
    workgroups: [Math.ceil(d_inner / channels), batch, 1],
    label,
  });
}
