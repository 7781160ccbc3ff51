/** The gradients of what Mamba-2's convolution gives: x, B and C. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import bcSource from "../../../kernels/ssd_bc_bwd.wgsl" with { type: "text" };
import cbSource from "../../../kernels/ssd_cb_bwd.wgsl" with { type: "text" };
import xSource from "../../../kernels/ssd_x_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { areMultiplesOf4 } from "../matmul_tile.ts";
import { chunkSizes, SSD_TILE, type SsdShape } from "../ssd.ts";
import type { SsdOptions } from "../../model/ssd_sizes.ts";
import { chunkCount, layoutOfSums, sizeOverrides } from "./ssd_bwd_layout.ts";

/** The gradient of x. */
export const ssdXBwdKernel = defineKernel({
  name: "ssd_x_bwd",
  source: xSource,
  preludes: ["_tile", "_ssd", "_ssd_bwd"],
  bindings: {
    xBC: "read",
    decays: "read",
    CB: "read",
    grad_states: "read",
    D: "read",
    grad_y: "read",
    grad_xBC: "write",
    sums: "write",
  },
  params: { seqlen: "u32", plane: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "CHUNK", "D_HAS_HDIM", "ALIGNED"],
  sizes: (values, [, chunks, batch]) => {
    const { NHEADS, HEADDIM, D_STATE, NGROUPS, CHUNK, D_HAS_HDIM, plane } = values;
    const { rows, d_inner, conv_dim, decays } = chunkSizes(values, batch);
    return {
      xBC: rows * conv_dim,
      decays,
      CB: batch * chunks * NGROUPS * CHUNK * CHUNK,
      grad_states: batch * chunks * d_inner * D_STATE,
      D: D_HAS_HDIM ? d_inner : NHEADS,
      grad_y: rows * d_inner,
      grad_xBC: rows * conv_dim,
      sums: Math.ceil(HEADDIM / SSD_TILE) * plane,
    };
  },
});

/** The gradient of C . B of every two steps of a chunk. */
export const ssdCBBwdKernel = defineKernel({
  name: "ssd_cb_bwd",
  source: cbSource,
  preludes: ["_tile", "_ssd", "_ssd_bwd"],
  bindings: {
    xBC: "read",
    decays: "read",
    CB: "read",
    grad_y: "read",
    grad_CB: "write",
    sums: "write",
  },
  params: { seqlen: "u32", start: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "CHUNK", "ALIGNED"],
  sizes: (values, [, chunks, batch]) => {
    const { NHEADS, NGROUPS, CHUNK, start } = values;
    const { rows, d_inner, conv_dim, decays } = chunkSizes(values, batch);
    const CB = batch * chunks * NGROUPS * CHUNK * CHUNK;
    return {
      xBC: rows * conv_dim,
      decays,
      CB,
      grad_y: rows * d_inner,
      grad_CB: CB,
      sums: start + rows * NHEADS,
    };
  },
});

/** The gradients of B and C. */
export const ssdBCBwdKernel = defineKernel({
  name: "ssd_bc_bwd",
  source: bcSource,
  preludes: ["_tile", "_ssd", "_ssd_bwd"],
  bindings: {
    xBC: "read",
    decays: "read",
    grad_CB: "read",
    ssm_state: "read",
    grad_states: "read",
    grad_y: "read",
    grad_xBC: "write",
    sums: "write",
  },
  params: { seqlen: "u32", plane: "u32", start: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "CHUNK", "ALIGNED"],
  sizes: (values, [, chunks, batch]) => {
    const { D_STATE, NGROUPS, CHUNK, plane, start } = values;
    const { rows, d_inner, conv_dim, decays } = chunkSizes(values, batch);
    return {
      xBC: rows * conv_dim,
      decays,
      grad_CB: batch * chunks * NGROUPS * CHUNK * CHUNK,
      ssm_state: batch * (chunks + 1) * d_inner * D_STATE,
      grad_states: batch * chunks * d_inner * D_STATE,
      grad_y: rows * d_inner,
      grad_xBC: rows * conv_dim,
      sums: start + 2 * Math.ceil(D_STATE / SSD_TILE) * plane,
    };
  },
});

/** What the gradients of x, B and C are made from, and the sums that they leave. */
type XBCTensors = Readonly<
  Record<
    | ("xBC" | "D" | "ssm_state" | "grad_y" | "grad_xBC" | "decays" | "CB" | "grad_CB")
    | ("grad_states" | "sums"),
    Tensor
  >
>;

/** The gradients of x, and of C . B of every two steps of a chunk, and sums over channels for ssdDtBwd(). */
export function ssdXCBBwd(
  program: Program,
  tensors: XBCTensors,
  shape: SsdShape & SsdOptions & { label: string },
): void {
  const { xBC, D, grad_y, grad_xBC, decays, CB, grad_CB, grad_states, sums } = tensors;
  const { batch, seqlen, nheads, ngroups, D_has_hdim = false, label } = shape;
  const overrides = sizeOverrides(shape);
  const isAligned = areMultiplesOf4(shape.headdim, shape.d_state);
  const chunks = chunkCount(shape);
  const { p_tiles, plane, ...starts } = layoutOfSums(shape);
  program.add(ssdXBwdKernel, {
    tensors: { xBC, decays, CB, grad_states, D, grad_y, grad_xBC, sums },
    overrides: { ...overrides, D_HAS_HDIM: D_has_hdim, ALIGNED: isAligned },
    params: { seqlen, plane },
    workgroups: [nheads * p_tiles, chunks, batch],
    label: `${label}.x`,
  });
  program.add(ssdCBBwdKernel, {
    tensors: { xBC, decays, CB, grad_y, grad_CB, sums },
    overrides: { ...overrides, ALIGNED: isAligned },
    params: { seqlen, start: starts.CB },
    workgroups: [ngroups, chunks, batch],
    label: `${label}.CB`,
  });
}

/** The gradients of B and C, and sums over states for ssdDtBwd(). */
export function ssdBCBwd(
  program: Program,
  tensors: XBCTensors,
  shape: SsdShape & SsdOptions & { label: string },
): void {
  const { xBC, ssm_state, grad_y, grad_xBC, decays, grad_CB, grad_states, sums } = tensors;
  const { batch, seqlen, ngroups, headdim, d_state, chunk, label } = shape;
  const chunks = chunkCount(shape);
  const { n_tiles, plane, ...starts } = layoutOfSums(shape);
  program.add(ssdBCBwdKernel, {
    tensors: { xBC, decays, grad_CB, ssm_state, grad_states, grad_y, grad_xBC, sums },
    overrides: { ...sizeOverrides(shape), ALIGNED: areMultiplesOf4(headdim, d_state, chunk) },
    params: { seqlen, plane, start: starts.BC },
    workgroups: [ngroups * 2 * n_tiles, chunks, batch],
    label: `${label}.BC`,
  });
}
