/** selective_scan_fwd: the Mamba-1 recurrence over a sequence. */

import type { Program } from "../gpu/program.ts";
import { spanOf } from "../gpu/span.ts";
import type { Tensor } from "../gpu/tensor.ts";
import fwdSource from "../../kernels/selective_scan_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { byVec4sOrElements } from "./placeholders.ts";
import { groupsAtOnce, SCAN_CHUNK, scanLanes, type ScanSizes } from "./scan_lanes.ts";
import { PARALLEL_CHUNK, selectiveScanChunks } from "./selective_scan_chunks.ts";

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
