/** S4D and S4: what a chunk of steps does, and the recurrence step by step. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import scanSource from "../../kernels/s4_scan.wgsl" with { type: "text" };
import powerSource from "../../kernels/s4_power.wgsl" with { type: "text" };
import seriesSource from "../../kernels/s4_series.wgsl" with { type: "text" };
import systemSource from "../../kernels/s4_system.wgsl" with { type: "text" };
import type { S4Chunk, S4Sizes } from "../model/s4_sizes.ts";
import { defineKernel } from "./define_kernel.ts";

/** The kernel of S4's step. */
export const s4SystemKernel = defineKernel({
  name: "s4_system",
  source: systemSource,
  preludes: ["_s4"],
  bindings: {
    Lambda_re: "read",
    Lambda_im: "read",
    P: "read",
    B: "read",
    log_step: "read",
    system: "write",
  },
  params: {},
  overrides: ["D_MODEL", "PAIRS"],
  sizes: ({ D_MODEL, PAIRS }) => ({
    Lambda_re: PAIRS * D_MODEL,
    Lambda_im: PAIRS * D_MODEL,
    P: 2 * PAIRS * D_MODEL,
    B: 2 * PAIRS * D_MODEL,
    log_step: D_MODEL,
    system: (8 * PAIRS + 1) * D_MODEL,
  }),
});

/** The kernel of powers of S4's step. */
export const s4PowerKernel = defineKernel({
  name: "s4_power",
  source: powerSource,
  preludes: ["_s4", "_s4_system"],
  bindings: { system: "read", E: "read_write" },
  params: { steps: "u32" },
  overrides: ["D_MODEL", "PAIRS"],
  sizes: ({ D_MODEL, PAIRS }) => ({
    system: 8 * PAIRS * D_MODEL,
    E: 4 * PAIRS * PAIRS * D_MODEL,
  }),
});

/** The kernel of a chunk. */
export const s4SeriesKernel = defineKernel({
  name: "s4_series",
  source: seriesSource,
  preludes: ["_s4", "_s4_system", "_s4_series"],
  bindings: { system: "read", C: "read", D: "read", table: "read_write" },
  params: {},
  overrides: ["D_MODEL", "PAIRS", "CHUNK", "LOW_RANK"],
  sizes: ({ D_MODEL, PAIRS, CHUNK, LOW_RANK }) => ({
    system: (2 + 2 * LOW_RANK) * 2 * PAIRS * D_MODEL,
    C: 2 * PAIRS * D_MODEL,
    D: D_MODEL,
    table: (CHUNK * (1 + 4 * PAIRS) + (1 - LOW_RANK) * 2 * PAIRS) * D_MODEL,
  }),
});

/** The kernel of steps one after the other. */
export const s4ScanKernel = defineKernel({
  name: "s4_scan",
  source: scanSource,
  preludes: ["_s4", "_s4_system"],
  bindings: {
    system: "read",
    C: "read",
    D: "read",
    u: "read",
    states: "read_write",
    y: "write",
  },
  params: { seqlen: "u32", first: "u32", chunk: "u32", slots: "u32" },
  overrides: ["D_MODEL", "PAIRS", "LOW_RANK"],
  sizes: ({ D_MODEL, PAIRS, LOW_RANK, seqlen, slots }, [, batch]) => ({
    system: (2 + 2 * LOW_RANK) * 2 * PAIRS * D_MODEL,
    C: 2 * PAIRS * D_MODEL,
    D: D_MODEL,
    u: batch * seqlen * D_MODEL,
    states: batch * slots * 2 * PAIRS * D_MODEL,
    y: batch * seqlen * D_MODEL,
  }),
});

/** Channels of a workgroup: where others share a channel, and where lanes are side by side alone. */
const CHANNELS = 16, LANES = 64;

/** system ([a, b, p, q], d_state / 2, 2, d_model), and exp(log_step) behind it: x = a x - p (q x) + b u is S4's step. */
export function s4System(
  program: Program,
  tensors: {
    Lambda_re: Tensor;
    Lambda_im: Tensor;
    P: Tensor;
    B: Tensor;
    log_step: Tensor;
    system: Tensor;
  },
  { d_model, d_state, label }: S4Sizes & { readonly label: string },
): void {
  program.add(s4SystemKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2 },
    params: {},
    workgroups: [Math.ceil(d_model / LANES), 1, 1],
    label,
  });
}

/** E (d_state, d_state, d_model) becomes what `steps` steps of s4System() without input make of a state. */
export function s4Power(
  program: Program,
  tensors: { system: Tensor; E: Tensor },
  { d_model, d_state, steps, label }: S4Sizes & { readonly steps: number; readonly label: string },
): void {
  program.add(s4PowerKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2 },
    params: { steps },
    workgroups: [Math.ceil(d_model / LANES), d_state, 1],
    label,
  });
}

/** table becomes K, O, R and, without a low rank, E of a chunk: see tablePlaces() for where, and the kernel for what. */
export function s4Series(
  program: Program,
  tensors: { system: Tensor; C: Tensor; D: Tensor; table: Tensor },
  { d_model, d_state, chunk, lowRank, label }: S4Chunk & { readonly label: string },
): void {
  program.add(s4SeriesKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2, CHUNK: chunk, LOW_RANK: lowRank },
    params: {},
    workgroups: [Math.ceil(d_model / CHANNELS), 1, 1],
    label,
  });
}

/**
 * y (batch, seqlen, d_model) becomes the recurrence's output for the steps of u from `first` on.
 *
 * @param tensors states (batch, slots, d_state, d_model): with one slot it moves on; with more, slot c is the state before
 * chunk c, the last one that after all, and the steps' first is a chunk's.
 */
export function s4Scan(
  program: Program,
  tensors: { system: Tensor; C: Tensor; D: Tensor; u: Tensor; states: Tensor; y: Tensor },
  shape: S4Chunk & {
    readonly batch: number;
    readonly seqlen: number;
    readonly first: number;
    readonly slots: number;
    readonly label: string;
  },
): void {
  const { d_model, d_state, chunk, lowRank, batch, seqlen, first, slots, label } = shape;
  program.add(s4ScanKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2, LOW_RANK: lowRank },
    params: { seqlen, first, chunk, slots },
    workgroups: [Math.ceil(d_model / CHANNELS), batch, 1],
    label,
  });
}
