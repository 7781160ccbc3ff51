/** selective_scan_chunks and selective_scan_pass: the states before each chunk of a sequence, from all chunks at once. */

import type { Program } from "../gpu/program.ts";
import { spanOf } from "../gpu/span.ts";
import type { Tensor } from "../gpu/tensor.ts";
import chunksSource from "../../kernels/selective_scan_chunks.wgsl" with { type: "text" };
import passSource from "../../kernels/selective_scan_pass.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { groupsAtOnce, scanLanes, type ScanSizes } from "./scan_lanes.ts";

/** The kernel for what each chunk of a sequence adds to the state. */
export const selectiveScanChunksKernel = defineKernel({
  name: "selective_scan_chunks",
  source: chunksSource,
  preludes: ["_scan"],
  bindings: { u_dt: "read", x_dbl: "read", A_log: "read", chunk_states: "read_write" },
  params: { seqlen: "u32", dt_start: "u32", sum_start: "u32" },
  overrides: ["D_INNER", "D_STATE", "DT_RANK", "LANES", "CHANNELS", "GROUPS", "CHUNK"],
  sizes: (
    { D_INNER, D_STATE, DT_RANK, seqlen, dt_start, sum_start },
    [, batch, chunks],
  ) => ({
    u_dt: dt_start + batch * seqlen * D_INNER,
    x_dbl: batch * seqlen * (DT_RANK + 2 * D_STATE),
    A_log: D_INNER * D_STATE,
    chunk_states: sum_start + batch * chunks * D_INNER,
  }),
});

/** The kernel for the state before each chunk. */
export const selectiveScanPassKernel = defineKernel({
  name: "selective_scan_pass",
  source: passSource,
  bindings: { A_log: "read", chunk_states: "read_write", ssm_state: "read_write" },
  params: { seqlen: "u32", sum_start: "u32" },
  overrides: ["D_INNER", "D_STATE", "CHUNK"],
  sizes: ({ D_INNER, D_STATE, CHUNK, seqlen, sum_start }, [, batch]) => ({
    A_log: D_INNER * D_STATE,
    chunk_states: sum_start + batch * Math.ceil(seqlen / CHUNK) * D_INNER,
    ssm_state: batch * D_INNER * D_STATE,
  }),
});

/** Steps of a chunk that runs beside others; the pieces in which a sequence comes are multiples of it. */
export const PARALLEL_CHUNK = 64;

/** Lanes of a workgroup of selective_scan_pass. */
const PASS_LANES = 64;

/** Elements of the scratch in which chunks of this many sequences keep their states, and the sums of dt. */
export function chunkStatesSize(
  { d_inner, d_state }: Pick<ScanSizes, "d_inner" | "d_state">,
  { batch, seqlen }: { readonly batch: number; readonly seqlen: number },
): number {
  return batch * Math.ceil(seqlen / PARALLEL_CHUNK) * d_inner * (d_state + 1);
}

/** The like, for as many steps as `rows`, of one sequence or of several that have whole chunks. */
export function scanActivations(
  { d_inner, d_state }: Pick<ScanSizes, "d_inner" | "d_state">,
  { rows, keepsStates = false }: { readonly rows: number; readonly keepsStates?: boolean },
): { chunk_states: number } {
  const chunks = keepsStates ? 0 : Math.floor(rows / PARALLEL_CHUNK);
  return { chunk_states: chunks * d_inner * (d_state + 1) };
}

/**
 * ssm_state (batch, d_inner, d_state) moves on by a sequence, and chunk_states (batch, chunks, d_inner, d_state) becomes
 * the state before each of its chunks of {@linkcode PARALLEL_CHUNK} steps.
 *
 * Wherever a sequence is cut at a multiple of a chunk, the states have the same bits.
 *
 * @param tensors As for selectiveScanFwd(); chunk_states has {@linkcode chunkStatesSize} elements.
 */
export function selectiveScanChunks(
  program: Program,
  tensors: {
    u: Tensor;
    dt: Tensor;
    x_dbl: Tensor;
    A_log: Tensor;
    ssm_state: Tensor;
    chunk_states: Tensor;
  },
  shape: ScanSizes & { batch: number; seqlen: number; label: string },
): void {
  const { u, dt, x_dbl, A_log, ssm_state, chunk_states } = tensors;
  const { batch, seqlen, d_inner, d_state, dt_rank, label } = shape;
  const { lanes, channels } = scanLanes(d_state);
  const chunks = Math.ceil(seqlen / PARALLEL_CHUNK);
  const elements = batch * seqlen * d_inner;
  const u_dt = spanOf(program.gpu, `selective_scan_chunks in ${label}`, {
    u: [u, elements],
    dt: [dt, elements],
  });
  const sum_start = batch * chunks * d_inner * d_state;
  program.add(selectiveScanChunksKernel, {
    tensors: { u_dt: u_dt.tensor, x_dbl, A_log, chunk_states },
    overrides: {
      D_INNER: d_inner,
      D_STATE: d_state,
      DT_RANK: dt_rank,
      LANES: lanes,
      CHANNELS: channels,
      GROUPS: groupsAtOnce({ lanes, channels }),
      CHUNK: PARALLEL_CHUNK,
    },
    params: { seqlen, dt_start: u_dt.starts.dt, sum_start },
    workgroups: [Math.ceil(d_inner / channels), batch, chunks],
    label: `${label}.chunks`,
  });
  program.add(selectiveScanPassKernel, {
    tensors: { A_log, chunk_states, ssm_state },
    overrides: { D_INNER: d_inner, D_STATE: d_state, CHUNK: PARALLEL_CHUNK },
    params: { seqlen, sum_start },
    workgroups: [Math.ceil(d_inner * d_state / PASS_LANES), batch, 1],
    label: `${label}.pass`,
  });
}

/** Workgroups of channels that keep an H100 busy: with as many, chunks side by side are only more work. */
const BUSY_WORKGROUPS = 528;

/**
 * The scratch for selectiveScanFwd() where chunks side by side pay: on a GPU, of few sequences and channels.
 *
 * @param scratch For some number of rows: short sequences, with a chunk of less than {@linkcode PARALLEL_CHUNK} steps
 * each, may have too many chunks for it.
 */
export function chunkStatesWherePays(
  { gpu }: Program,
  scratch: Tensor,
  sizes: Pick<ScanSizes, "d_inner" | "d_state">,
  shape: { readonly batch: number; readonly seqlen: number },
): Tensor | undefined {
  const { channels } = scanLanes(sizes.d_state);
  const isBusy = shape.batch * Math.ceil(sizes.d_inner / channels) >= BUSY_WORKGROUPS;
  const fits = chunkStatesSize(sizes, shape) <= scratch.size;
  return gpu.isSoftware || isBusy || !fits ? undefined : scratch;
}
