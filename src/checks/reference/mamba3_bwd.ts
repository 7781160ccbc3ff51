/** Gradients of the ops of mamba3.ts, step by step in reverse. */

import { sigmoid } from "./activations.ts";
import { at } from "./at.ts";
import {
  type Mamba3Carried,
  type Mamba3GateInputs,
  type Mamba3Inputs,
  type Mamba3Shape,
  type Mamba3Steps,
  pairAt,
  rateOf,
} from "./mamba3.ts";

/** Gradients of what the recurrence reads. */
export interface Mamba3ScanGradients
  extends Pick<Mamba3Steps, "dtA" | "gamma" | "delta" | "v" | "k" | "q"> {
  D: Float64Array;
  /** Of the state before the first step. */
  ssm_state: Float64Array;
  /** Of v of the step before the first: (batch, mimo_rank, nheads, headdim). */
  carried_v: Float64Array;
}

/** Gradients of mamba3ScanFwd(), from that of y alone: the final state is read by nobody. */
export function mamba3ScanBwd(
  steps: Mamba3Steps,
  D: ArrayLike<number>,
  carried: Mamba3Carried,
  grad_y: ArrayLike<number>,
  { batch, seqlen, nheads, headdim, d_state, mimo_rank }: Mamba3Shape,
): Mamba3ScanGradients {
  const like = (values: ArrayLike<number>) => new Float64Array(values.length);
  const grad = {
    ...{ dtA: like(steps.dtA), gamma: like(steps.gamma), delta: like(steps.delta) },
    ...{ v: like(steps.v), k: like(steps.k), q: like(steps.q), D: like(D) },
    ssm_state: like(carried.ssm_state),
    carried_v: like(carried.v),
  };
  const add = (values: Float64Array, i: number, value: number) => {
    values[i] = at(values, i) + value;
  };
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < nheads; h++) {
      const step = (t: number) => (b * nheads + h) * seqlen + t;
      const lane = (t: number, r: number) => ((b * seqlen + t) * mimo_rank + r) * nheads + h;
      const carriedLane = (r: number) => (b * mimo_rank + r) * nheads + h;
      for (let p = 0; p < headdim; p++) {
        for (let n = 0; n < d_state; n++) {
          const outer = (t: number) => {
            let sum = 0;
            for (let r = 0; r < mimo_rank; r++) {
              const [v, k] = t < 0
                ? [
                  at(carried.v, carriedLane(r) * headdim + p),
                  at(carried.k, carriedLane(r) * d_state + n),
                ]
                : [at(steps.v, lane(t, r) * headdim + p), at(steps.k, lane(t, r) * d_state + n)];
              sum += v * k;
            }
            return sum;
          };
          const first = ((b * nheads + h) * headdim + p) * d_state + n;
          const states = [at(carried.ssm_state, first)];
          for (let t = 0; t < seqlen; t++) {
            const before = at(states, t) + at(steps.delta, step(t)) * outer(t - 1);
            states.push(
              Math.exp(at(steps.dtA, step(t))) * before + at(steps.gamma, step(t)) * outer(t),
            );
          }
          let own = 0;
          for (let t = seqlen - 1; t >= 0; t--) {
            for (let r = 0; r < mimo_rank; r++) {
              const g = at(grad_y, lane(t, r) * headdim + p);
              own += g * at(steps.q, lane(t, r) * d_state + n);
              add(grad.q, lane(t, r) * d_state + n, g * at(states, t + 1));
            }
            const alpha = Math.exp(at(steps.dtA, step(t)));
            const delta = at(steps.delta, step(t));
            const gamma = at(steps.gamma, step(t));
            add(grad.gamma, step(t), own * outer(t));
            add(grad.delta, step(t), own * alpha * outer(t - 1));
            add(grad.dtA, step(t), own * alpha * (at(states, t) + delta * outer(t - 1)));
            for (let r = 0; r < mimo_rank; r++) {
              const through = (of: number, factor: number) => {
                const [v, k] = [lane(of, r) * headdim + p, lane(of, r) * d_state + n];
                add(grad.v, v, factor * at(steps.k, k));
                add(grad.k, k, factor * at(steps.v, v));
              };
              through(t, own * gamma);
              if (t > 0) through(t - 1, own * alpha * delta);
              else {
                const k = at(carried.k, carriedLane(r) * d_state + n);
                add(grad.carried_v, carriedLane(r) * headdim + p, own * alpha * delta * k);
              }
            }
            own *= alpha;
          }
          grad.ssm_state[first] = own;
        }
        for (let t = 0; t < seqlen; t++) {
          for (let r = 0; r < mimo_rank; r++) {
            const i = lane(t, r) * headdim + p;
            add(grad.D, h, at(grad_y, i) * at(steps.v, i));
            add(grad.v, i, at(D, h) * at(grad_y, i));
          }
        }
      }
    }
  }
  return grad;
}

/** Gradients of what mamba3InputsFwd() reads, but for the angles so far. */
export type Mamba3InputsGradients =
  & Record<
    Exclude<keyof Mamba3Inputs, "theta" | "mimo_x">,
    Float64Array
  >
  & { mimo_x: Float64Array | undefined };

/** Gradients of mamba3InputsFwd(), from those that mamba3ScanBwd() gives. */
export function mamba3InputsBwd(
  inputs: Mamba3Inputs,
  steps: Mamba3Steps,
  grad: Pick<Mamba3ScanGradients, "dtA" | "gamma" | "delta" | "v" | "k" | "q">,
  shape: Mamba3Shape,
): Mamba3InputsGradients {
  const { batch, seqlen, nheads, headdim, d_state, ngroups, mimo_rank, num_rope_angles } = shape;
  const like = (values: ArrayLike<number>) => new Float64Array(values.length);
  const { mimo_x } = inputs;
  const found: Mamba3InputsGradients = {
    ...{ x: like(inputs.x), B: like(inputs.B), C: like(inputs.C), dd_dt: like(inputs.dd_dt) },
    ...{ dd_A: like(inputs.dd_A), trap: like(inputs.trap), angles: like(inputs.angles) },
    ...{ dt_bias: like(inputs.dt_bias), B_norm: like(inputs.B_norm), C_norm: like(inputs.C_norm) },
    ...{ B_bias: like(inputs.B_bias), C_bias: like(inputs.C_bias), mimo_x: mimo_x && like(mimo_x) },
  };
  const add = (values: Float64Array, i: number, value: number) => {
    values[i] = at(values, i) + value;
  };
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < nheads; h++) {
      const turned = new Float64Array(num_rope_angles);
      for (let t = seqlen - 1; t >= 0; t--) {
        const row = b * seqlen + t;
        const step = (b * nheads + h) * seqlen + t;
        const g = Math.floor(h * ngroups / nheads);
        for (let r = 0; r < mimo_rank; r++) {
          const own = (row * mimo_rank + r) * nheads + h;
          for (let p = 0; p < headdim; p++) {
            const x = (row * nheads + h) * headdim + p;
            const weight = (h * mimo_rank + r) * headdim + p;
            const value = at(grad.v, own * headdim + p);
            add(found.x, x, value * (mimo_x === undefined ? 1 : at(mimo_x, weight)));
            if (found.mimo_x) add(found.mimo_x, weight, value * at(inputs.x, x));
          }
          const first = ((row * mimo_rank + r) * ngroups + g) * d_state;
          for (
            const [values, grads, raw, weight, bias] of [
              [steps.k, grad.k, "B", "B_norm", "B_bias"],
              [steps.q, grad.q, "C", "C_norm", "C_bias"],
            ] as const
          ) {
            const before = Float64Array.from(grads.subarray(own * d_state, (own + 1) * d_state));
            for (let j = 0; j < num_rope_angles; j++) {
              const [one, two] = pairAt(j, shape);
              const angle = at(steps.thetas, (row * nheads + h) * num_rope_angles + j);
              const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
              const [a, c] = [at(before, one), at(before, two)];
              turned[j] = at(turned, j) + c * at(values, own * d_state + one) -
                a * at(values, own * d_state + two);
              before[one] = a * cos + c * sin;
              before[two] = c * cos - a * sin;
            }
            let squares = 0;
            for (let n = 0; n < d_state; n++) squares += at(inputs[raw], first + n) ** 2;
            const rstd = 1 / Math.sqrt(squares / d_state + shape.eps);
            let mean = 0;
            for (let n = 0; n < d_state; n++) {
              const normed = rstd * at(inputs[raw], first + n);
              add(found[bias], (h * mimo_rank + r) * d_state + n, at(before, n));
              add(found[weight], n, at(before, n) * normed);
              mean += at(before, n) * at(inputs[weight], n) * normed / d_state;
            }
            for (let n = 0; n < d_state; n++) {
              const normed = rstd * at(inputs[raw], first + n);
              add(
                found[raw],
                first + n,
                rstd * (at(before, n) * at(inputs[weight], n) - normed * mean),
              );
            }
          }
        }
        const lambda = sigmoid(at(inputs.trap, row * nheads + h));
        const dt = at(steps.dt, step);
        const value = at(inputs.dd_A, row * nheads + h);
        const A = at(steps.dtA, step) / dt;
        let grad_dt = lambda * at(grad.gamma, step) + (1 - lambda) * at(grad.delta, step) +
          A * at(grad.dtA, step);
        for (let j = 0; j < num_rope_angles; j++) {
          const turn = Math.tanh(at(inputs.angles, row * num_rope_angles + j));
          grad_dt += Math.PI * turn * at(turned, j);
          const own = Math.PI * (1 - turn ** 2) * dt * at(turned, j);
          add(found.angles, row * num_rope_angles + j, own);
        }
        const isFree = rateOf(value, shape.A_activation) > shape.A_floor;
        const slope = shape.A_activation === "softplus"
          ? sigmoid(value)
          : value >= 0
          ? 1
          : 1 / (1 - value) ** 2;
        found.dd_A[row * nheads + h] = isFree ? -slope * dt * at(grad.dtA, step) : 0;
        found.trap[row * nheads + h] = lambda * (1 - lambda) * dt *
          (at(grad.gamma, step) - at(grad.delta, step));
        const raw = at(inputs.dd_dt, row * nheads + h) + at(inputs.dt_bias, h);
        found.dd_dt[row * nheads + h] = grad_dt * sigmoid(raw);
        add(found.dt_bias, h, grad_dt * sigmoid(raw));
      }
    }
  }
  return found;
}

/** Gradients of mamba3GateFwd(). */
export function mamba3GateBwd(
  { y, z, mimo_z, mimo_o, norm }: Mamba3GateInputs,
  grad_out: ArrayLike<number>,
  { batch, seqlen, nheads, headdim, mimo_rank, eps }: Mamba3Shape,
):
  & Record<"y" | "z", Float64Array>
  & Record<"mimo_z" | "mimo_o" | "norm", Float64Array | undefined> {
  const like = (values: ArrayLike<number>) => new Float64Array(values.length);
  const grad = {
    ...{ y: like(y), z: like(z), mimo_z: mimo_z && like(mimo_z), mimo_o: mimo_o && like(mimo_o) },
    norm: norm && like(norm),
  };
  const add = (values: Float64Array, i: number, value: number) => {
    values[i] = at(values, i) + value;
  };
  for (let head = 0; head < batch * seqlen * nheads; head++) {
    const [row, h] = [Math.floor(head / nheads), head % nheads];
    for (let r = 0; r < mimo_rank; r++) {
      const own = ((row * mimo_rank + r) * nheads + h) * headdim;
      let squares = 0;
      for (let p = 0; p < headdim; p++) squares += at(y, own + p) ** 2;
      const rstd = norm === undefined ? 1 : 1 / Math.sqrt(squares / headdim + eps);
      const through = new Float64Array(headdim);
      let mean = 0;
      for (let p = 0; p < headdim; p++) {
        const i = (h * mimo_rank + r) * headdim + p;
        const factor = mimo_z === undefined ? 1 : at(mimo_z, i);
        const share = mimo_o === undefined ? 1 : at(mimo_o, i);
        const weight = norm === undefined ? 1 : at(norm, h * headdim + p);
        const gate = at(z, head * headdim + p) * factor;
        const open = gate * sigmoid(gate);
        const slope = sigmoid(gate) * (1 + gate * (1 - sigmoid(gate)));
        const value = rstd * at(y, own + p);
        const g = at(grad_out, head * headdim + p);
        add(grad.z, head * headdim + p, g * share * value * weight * slope * factor);
        if (grad.mimo_z) {
          add(grad.mimo_z, i, g * share * value * weight * slope * at(z, head * headdim + p));
        }
        if (grad.mimo_o) add(grad.mimo_o, i, g * value * weight * open);
        if (grad.norm) add(grad.norm, h * headdim + p, g * share * value * open);
        through[p] = g * share * weight * open;
        mean += at(through, p) * value / headdim;
      }
      for (let p = 0; p < headdim; p++) {
        const value = rstd * at(y, own + p);
        grad.y[own + p] = norm === undefined
          ? at(through, p)
          : rstd * (at(through, p) - value * mean);
      }
    }
  }
  return grad;
}

/** The gradient of swigluFwd(): (rows, 2 width). */
export function swigluBwd(
  x: ArrayLike<number>,
  grad_y: ArrayLike<number>,
  { rows, width }: { rows: number; width: number },
): Float64Array {
  const grad = new Float64Array(2 * rows * width);
  for (let i = 0; i < rows * width; i++) {
    const first = Math.floor(i / width) * 2 * width + i % width;
    const gate = at(x, first + width);
    const s = sigmoid(gate);
    grad[first] = at(grad_y, i) * gate * s;
    grad[first + width] = at(grad_y, i) * at(x, first) * s * (1 + gate * (1 - s));
  }
  return grad;
}
