/** adamw_update: one step of AdamW on one tensor. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { ADAMW_SCHEDULE_SIZE, type AdamwBetas } from "../../../model/adamw.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";

/** Elements of an item. */
const BLOCK = 1024;

/**
 * weight, m and v (size) move on by one step of AdamW, as torch.optim.AdamW does it.
 *
 * @param tensors m and v start as zeros; `clip` is from gradNorm(), and its factor 0 changes nothing; `schedule` (3) is
 * from encodeAdamwSchedule(). Padding stays 0 where weight and grad are 0.
 * @param shape `weight_decay` is decoupled, and scaled by the learning rate: 0 for vectors, A_log and D. `rate`
 * (default 1) is what the learning rate is multiplied by.
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
  shape: AdamwBetas & {
    size: number;
    eps: number;
    weight_decay: number;
    rate?: number;
    label: string;
  },
): void {
  const { weight, grad, m, v, clip, schedule } = tensors;
  const { size, beta1, beta2, eps, weight_decay, rate = 1, label } = shape;
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
      ...[1 - beta1, 1 - beta2, eps, weight_decay, rate].map(floatBits),
    ],
    label,
  });
}
