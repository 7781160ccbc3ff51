/** selective_scan_fwd and selective_scan_step: the Mamba-1 recurrence over a sequence, and for a single step. */

import type { Program } from "../gpu/program.ts";
import { spanOf } from "../gpu/span.ts";
import type { Tensor } from "../gpu/tensor.ts";
import fwdSource from "../../kernels/selective_scan_fwd.wgsl" with { type: "text" };
import stepSource from "../../kernels/selective_scan_step.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { byVec4sOrElements } from "./placeholders.ts";
import { blockWords, type Matrix, W_DTYPE } from "./matrix.ts";
import { groupsAtOnce, SCAN_CHUNK, scanLanes, type ScanSizes } from "./scan_lanes.ts";
import { PARALLEL_CHUNK, selectiveScanChunks } from "./selective_scan_chunks.ts";
import { isQuantized } from "../model/weights/dtype.ts";

/** The kernel for any seqlen. */
export const selectiveScanFwdKernel = defineKernel({
  name: "selective_scan_fwd",
  source: fwdSource,
  preludes: ["_scan"],
  bindings: {
    u_dt: "read",
    x_dbl: "read",
    xz: "read",
    A_log: "read",
    D: "read",
    ssm_state: "read_write",
    state_elements: "read_write",
    y: "write",
  },
  params: { seqlen: "u32", dt_start: "u32" },
  overrides: [
    "D_INNER",
    "D_STATE",
    "DT_RANK",
    "LANES",
    "CHANNELS",
    "GROUPS",
    "KEEP",
    "CHUNKED",
    "CHUNK",
  ],
  sizes: ({ D_INNER, D_STATE, DT_RANK, KEEP, seqlen, dt_start }, [, batch, chunks]) => {
    const rows = batch * seqlen;
    const slots = KEEP ? Math.ceil(seqlen / SCAN_CHUNK) + 1 : chunks;
    const states = batch * slots * D_INNER * D_STATE;
    return {
      u_dt: dt_start + rows * D_INNER,
      x_dbl: rows * (DT_RANK + 2 * D_STATE),
      xz: rows * 2 * D_INNER,
      A_log: D_INNER * D_STATE,
      D: D_INNER,
      ssm_state: D_STATE % 4 === 0 ? states : 0,
      state_elements: D_STATE % 4 === 0 ? 0 : states,
      y: rows * D_INNER,
    };
  },
});

/** The kernel for seqlen 1, with dt_proj in front. */
export const selectiveScanStepKernel = defineKernel({
  name: "selective_scan_step",
  source: stepSource,
  bindings: {
    xz: "read",
    x_dbl: "read",
    dt_weight: "read",
    dt_bias: "read",
    A_log: "read",
    D: "read",
    ssm_state: "read_write",
    y: "write",
  },
  params: {},
  overrides: ["D_INNER", "D_STATE", "DT_RANK", "W_STRIDE", "W_DTYPE", "LANES", "CHANNELS"],
  sizes: ({ D_INNER, D_STATE, DT_RANK, W_STRIDE, W_DTYPE }, [, batch]) => ({
    xz: batch * 2 * D_INNER,
    x_dbl: batch * (DT_RANK + 2 * D_STATE),
    dt_weight: blockWords(D_INNER, W_STRIDE, W_DTYPE),
    dt_bias: D_INNER,
    A_log: D_INNER * D_STATE,
    D: D_INNER,
    ssm_state: batch * D_INNER * D_STATE,
    y: batch * D_INNER,
  }),
});

/**
 * y (batch, seqlen, d_inner) from u and the pre-softplus dt of that shape, B and C in x_dbl (batch, seqlen, dt_rank +
 * 2 d_state), z in the second half of xz; ssm_state (batch, d_inner, d_state) moves on. dt lies behind u in one buffer.
 *
 * @param tensors With `chunk_states`, scratch of chunkStatesSize() elements, chunks of the sequence run side by side: for
 * a device that the channels alone leave idle.
 * @param shape With `keep` (default false), as training needs it, ssm_state is (batch, chunks + 1, d_inner, d_state) with
 * chunks = ceil(seqlen / SCAN_CHUNK): slot 0 is the initial state and stays, slot c + 1 becomes the state after chunk c,
 * the last slot the final state.
 */
export function selectiveScanFwd(
  program: Program,
  tensors: {
    u: Tensor;
    dt: Tensor;
    x_dbl: Tensor;
    xz: Tensor;
    A_log: Tensor;
    D: Tensor;
    ssm_state: Tensor;
    chunk_states?: Tensor | undefined;
    y: Tensor;
  },
  shape: ScanSizes & { batch: number; seqlen: number; keep?: boolean; label: string },
): void {
  const { batch, seqlen, d_inner, d_state, dt_rank, keep = false, label } = shape;
  const { u, dt, ssm_state, chunk_states, ...bound } = tensors;
  if (chunk_states !== undefined) {
    const { x_dbl, A_log } = tensors;
    selectiveScanChunks(program, { u, dt, x_dbl, A_log, ssm_state, chunk_states }, shape);
  }
  const isChunked = chunk_states !== undefined;
  const { lanes, channels } = scanLanes(d_state);
  const elements = batch * seqlen * d_inner;
  const u_dt = spanOf(program.gpu, `selective_scan_fwd in ${label}`, {
    u: [u, elements],
    dt: [dt, elements],
  });
  const [vec4s, state_elements] = byVec4sOrElements(
    program.gpu,
    chunk_states ?? ssm_state,
    d_state % 4 === 0,
  );
  program.add(selectiveScanFwdKernel, {
    tensors: { ...bound, u_dt: u_dt.tensor, ssm_state: vec4s, state_elements },
    overrides: {
      D_INNER: d_inner,
      D_STATE: d_state,
      DT_RANK: dt_rank,
      LANES: lanes,
      CHANNELS: channels,
      GROUPS: groupsAtOnce({ lanes, channels }),
      KEEP: keep,
      CHUNKED: isChunked,
      CHUNK: PARALLEL_CHUNK,
    },
    params: { seqlen, dt_start: u_dt.starts.dt },
    workgroups: [
      Math.ceil(d_inner / channels),
      batch,
      isChunked ? Math.ceil(seqlen / PARALLEL_CHUNK) : 1,
    ],
    label,
  });
}

/** y (batch, d_inner) for one step: dt_proj of x_dbl's first columns, then the recurrence. xz holds u, then z. */
export function selectiveScanStep(
  program: Program,
  tensors: {
    xz: Tensor;
    x_dbl: Tensor;
    dt_weight: Matrix;
    dt_bias: Tensor;
    A_log: Tensor;
    D: Tensor;
    ssm_state: Tensor;
    y: Tensor;
  },
  shape: ScanSizes & { batch: number; label: string },
): void {
  const { batch, d_inner, d_state, dt_rank, label } = shape;
  const { dt_weight } = tensors;
  const [block, ...others] = dt_weight.blocks;
  if (block === undefined || others.length > 0) {
    throw new RangeError(
      `Cannot run ${label}: dt_proj [${dt_weight.rows}, ${dt_weight.columns}] does not fit in one binding`,
    );
  }
  if (isQuantized(dt_weight.dtype)) {
    throw new TypeError(
      `Cannot run ${label}: dt_proj is ${dt_weight.dtype}, expected f32, f16 or bf16`,
    );
  }
  // Lanes share the dot product of dt, too: more of them where dt_rank is large. Measured on an H100; eight instead of
  // sixteen cost a single step of mamba-130m 2%, and save one of 64 sequences 9%.
  const lanes = Math.min(dt_rank > 64 ? 32 : 8, nextPowerOfTwo(Math.max(d_state, dt_rank / 8)));
  const channels = Math.max(4, 64 / lanes);
  program.add(selectiveScanStepKernel, {
    tensors: { ...tensors, dt_weight: block.tensor },
    overrides: {
      D_INNER: d_inner,
      D_STATE: d_state,
      DT_RANK: dt_rank,
      W_STRIDE: dt_weight.stride,
      W_DTYPE: W_DTYPE[dt_weight.dtype],
      LANES: lanes,
      CHANNELS: channels,
    },
    params: {},
    workgroups: [Math.ceil(d_inner / channels), batch, 1],
    label,
  });
}

function nextPowerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}
