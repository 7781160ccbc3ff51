/** adamw_update: one step of AdamW on one tensor. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../../program.ts";
import type { CpuTensor } from "../../tensor.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";

/** Elements of an item. */
const BLOCK = 1024;

/** How fast the averages of the gradient and of its square forget. */
export interface AdamwBetas {
  readonly beta1: number;
  readonly beta2: number;
}

/** Elements of the `schedule` tensor. */
export const ADAMW_SCHEDULE_SIZE = 3;

/**
 * What the `schedule` tensor holds for one step: write it there before the step.
 *
 * @param step The number of the step, from 1: the averages start at 0, which is corrected for.
 */
export function encodeAdamwSchedule(
  step: number,
  learningRate: number,
  { beta1, beta2 }: AdamwBetas,
): Float32Array<ArrayBuffer> {
  return Float32Array.of(
    learningRate,
    1 / (1 - beta1 ** step),
    1 / Math.sqrt(1 - beta2 ** step),
  );
}

/**
 * weight, m and v (size) move on by one step of AdamW, as torch.optim.AdamW does it.
 *
 * @param tensors m and v start as zeros; `clip` is from gradNorm(), and its factor 0 changes nothing; `schedule` (3) is
 * from {@linkcode encodeAdamwSchedule}. Padding stays 0 where weight and grad are 0.
 * @param shape `weight_decay` is decoupled, and scaled by the learning rate: 0 for vectors, A_log and D.
 */
export function adamwUpdate(
  program: CpuProgram,
  tensors: {
    weight: CpuTensor;
    grad: CpuTensor;
    m: CpuTensor;
    v: CpuTensor;
    clip: CpuTensor;
    schedule: CpuTensor;
  },
  shape: AdamwBetas & { size: number; eps: number; weight_decay: number; label: string },
): void {
  const { weight, grad, m, v, clip, schedule } = tensors;
  const { size, beta1, beta2, eps, weight_decay, label } = shape;
  for (const [name, tensor] of Object.entries({ weight, grad, m, v })) {
    requireSize(label, name, tensor, size);
  }
  requireSize(label, "clip", clip, 2);
  requireSize(label, "schedule", schedule, ADAMW_SCHEDULE_SIZE);
  program.add({
    kind: OpKind.adamw_update,
    items: Math.ceil(size / BLOCK),
    grain: rowsGrain(2 * BLOCK),
    args: [
      ...[weight.address, grad.address, m.address, v.address, clip.address, schedule.address, size],
      // The differences in f64: 1 - 0.999 in f32 is 1.3e-5 off.
      ...[1 - beta1, 1 - beta2, eps, weight_decay].map(floatBits),
    ],
    label,
  });
}
