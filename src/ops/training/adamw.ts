/** adamw_update: one step of AdamW on one tensor. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/adamw_update.wgsl" with { type: "text" };
import type { AdamwBetas } from "../../model/adamw.ts";
import { defineKernel } from "../define_kernel.ts";
import { foldWorkgroups } from "../fold_workgroups.ts";

/** The kernel. */
export const adamwUpdateKernel = defineKernel({
  name: "adamw_update",
  source,
  bindings: {
    weight: "read_write",
    grad: "read",
    m: "read_write",
    v: "read_write",
    clip: "read",
    schedule: "read",
  },
  params: { size: "u32", weight_decay: "f32", rate: "f32" },
  overrides: ["EPS", "BETA1_REST", "BETA2_REST"],
  sizes: ({ size }) => ({ weight: size, grad: size, m: size, v: size, clip: 2, schedule: 3 }),
});

/** Lanes of a workgroup. */
const LANES = 256;

/**
 * weight, m and v (size) move on by one step of AdamW, as torch.optim.AdamW does it.
 *
 * @param tensors m and v start as zeros; `clip` is from {@linkcode gradNorm}, and its factor 0 changes nothing;
 * `schedule` (3) is from encodeAdamwSchedule(). Padding stays 0 where weight and grad are 0.
 * @param shape `weight_decay` is decoupled, and scaled by the learning rate: 0 for vectors, A_log and D. `rate`
 * (default 1) is what the learning rate is multiplied by.
 */
export function adamwUpdate(
  program: Program,
  tensors: { weight: Tensor; grad: Tensor; m: Tensor; v: Tensor; clip: Tensor; schedule: Tensor },
  shape: AdamwBetas & {
    readonly size: number;
    readonly eps: number;
    readonly weight_decay: number;
    readonly rate?: number;
    readonly label: string;
  },
): void {
  const { size, beta1, beta2, eps, weight_decay, rate = 1, label } = shape;
  program.add(adamwUpdateKernel, {
    tensors,
    // The differences in f64: 1 - 0.999 in f32 is 1.3e-5 off.
    overrides: { EPS: eps, BETA1_REST: 1 - beta1, BETA2_REST: 1 - beta2 },
    params: { size, weight_decay, rate },
    workgroups: foldWorkgroups(Math.ceil(size / LANES)),
    label,
  });
}
