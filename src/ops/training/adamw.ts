/** adamw_update: one step of AdamW on one tensor. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/adamw_update.wgsl" with { type: "text" };
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
  params: { size: "u32", weight_decay: "f32" },
  overrides: ["EPS", "BETA1_REST", "BETA2_REST"],
  sizes: ({ size }) => ({ weight: size, grad: size, m: size, v: size, clip: 2, schedule: 3 }),
});

/** Lanes of a workgroup. */
const LANES = 256;

/** How fast the averages of the gradient and of its square forget. */
export interface AdamwBetas {
  readonly beta1: number;
  readonly beta2: number;
}

/** Elements of the `schedule` tensor. */
export const ADAMW_SCHEDULE_SIZE = 3;

/**
 * What the `schedule` tensor holds for one step: write it there before the step is submitted.
 *
 * @param step The number of the step, from 1: the averages start at 0, which is corrected for.
 */
export function encodeAdamwSchedule(
  step: number,
  learningRate: number,
  { beta1, beta2 }: AdamwBetas,
): Float32Array<ArrayBuffer> {
  return new Float32Array([
    learningRate,
    1 / (1 - beta1 ** step),
    1 / Math.sqrt(1 - beta2 ** step),
  ]);
}

/**
 * weight, m and v (size) move on by one step of AdamW, as torch.optim.AdamW does it.
 *
 * @param tensors m and v start as zeros; `clip` is from {@linkcode gradNorm}, and its factor 0 changes nothing;
 * `schedule` (3) is from {@linkcode encodeAdamwSchedule}. Padding stays 0 where weight and grad are 0.
 * @param shape `weight_decay` is decoupled, and scaled by the learning rate: 0 for vectors, A_log and D.
 */
export function adamwUpdate(
  program: Program,
  tensors: { weight: Tensor; grad: Tensor; m: Tensor; v: Tensor; clip: Tensor; schedule: Tensor },
  shape: AdamwBetas & {
    readonly size: number;
    readonly eps: number;
    readonly weight_decay: number;
    readonly label: string;
  },
): void {
  const { size, beta1, beta2, eps, weight_decay, label } = shape;
  program.add(adamwUpdateKernel, {
    tensors,
    // The differences in f64: 1 - 0.999 in f32 is 1.3e-5 off.
    overrides: { EPS: eps, BETA1_REST: 1 - beta1, BETA2_REST: 1 - beta2 },
    params: { size, weight_decay },
    workgroups: foldWorkgroups(Math.ceil(size / LANES)),
    label,
  });
}
