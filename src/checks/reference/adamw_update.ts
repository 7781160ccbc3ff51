import { at } from "./at.ts";

/** Settings of one step; torch.optim.AdamW's names for them are in brackets. */
export interface AdamwSettings {
  /** The number of this step, from 1. */
  step: number;
  /** (lr) */
  learningRate: number;
  /** (betas[0]) */
  beta1: number;
  /** (betas[1]) */
  beta2: number;
  /** (eps) */
  epsilon: number;
  /** (weight_decay): 0 for tensors that do not decay. */
  weightDecay: number;
  /** What the gradient is multiplied by first: 1 when absent. */
  clipFactor?: number;
}

/**
 * One step of AdamW (Loshchilov & Hutter 2019, Algorithm 2), the decay decoupled and scaled by the
 * learning rate, as torch.optim.AdamW has it:
 *
 *     m = beta1 m + (1 - beta1) grad         v = beta2 v + (1 - beta2) grad^2
 *     weight = weight (1 - lr decay) - lr m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + eps)
 *
 * All arrays have the weight's shape, and are left as they are.
 */
export function adamwUpdate(
  { weight, grad, m, v }: {
    weight: ArrayLike<number>;
    grad: ArrayLike<number>;
    m: ArrayLike<number>;
    v: ArrayLike<number>;
  },
  { step, learningRate, beta1, beta2, epsilon, weightDecay, clipFactor = 1 }: AdamwSettings,
): Record<"weight" | "m" | "v", Float64Array<ArrayBuffer>> {
  const next = {
    weight: new Float64Array(weight.length),
    m: new Float64Array(weight.length),
    v: new Float64Array(weight.length),
  };
  for (let i = 0; i < weight.length; i++) {
    const g = clipFactor * at(grad, i);
    const m_i = beta1 * at(m, i) + (1 - beta1) * g;
    const v_i = beta2 * at(v, i) + (1 - beta2) * g * g;
    const change = m_i / (1 - beta1 ** step) / (Math.sqrt(v_i / (1 - beta2 ** step)) + epsilon);
    next.weight[i] = at(weight, i) * (1 - learningRate * weightDecay) - learningRate * change;
    next.m[i] = m_i;
    next.v[i] = v_i;
  }
  return next;
}
