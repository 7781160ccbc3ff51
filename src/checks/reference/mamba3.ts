/** The ops of a Mamba-3 mixer (arXiv 2603.15569), step by step, and the recurrence once more in another form. */

import { sigmoid, softplus } from "./activations.ts";
import { at } from "./at.ts";

/** Sizes, and what gives the steps their decay. */
export interface Mamba3Shape {
  batch: number;
  seqlen: number;
  nheads: number;
  headdim: number;
  d_state: number;
  ngroups: number;
  /** Inputs and outputs of a channel in one step. */
  mimo_rank: number;
  is_mimo: boolean;
  num_rope_angles: number;
  A_activation: "heavy_tail" | "softplus";
  A_floor: number;
  eps: number;
}

/** What mamba3InputsFwd() reads: columns of in_proj's output, weights, and the angles so far. */
export interface Mamba3Inputs {
  /** (batch, seqlen, nheads, headdim) */
  x: ArrayLike<number>;
  /** (batch, seqlen, mimo_rank, ngroups, d_state) */
  B: ArrayLike<number>;
  /** As B. */
  C: ArrayLike<number>;
  /** (batch, seqlen, nheads), and the next two. */
  dd_dt: ArrayLike<number>;
  dd_A: ArrayLike<number>;
  trap: ArrayLike<number>;
  /** (batch, seqlen, num_rope_angles) */
  angles: ArrayLike<number>;
  /** (nheads) */
  dt_bias: ArrayLike<number>;
  /** (d_state) */
  B_norm: ArrayLike<number>;
  C_norm: ArrayLike<number>;
  /** (nheads, mimo_rank, d_state) */
  B_bias: ArrayLike<number>;
  C_bias: ArrayLike<number>;
  /** (nheads, mimo_rank, headdim), or undefined for ones. */
  mimo_x: ArrayLike<number> | undefined;
  /** (batch, nheads, num_rope_angles) */
  theta: ArrayLike<number>;
}

/** What the recurrence reads of each step. */
export interface Mamba3Steps {
  /** (batch, nheads, seqlen): dt, dt A, lambda dt and (1 - lambda) dt. */
  dt: Float64Array;
  dtA: Float64Array;
  gamma: Float64Array;
  delta: Float64Array;
  /** (batch, seqlen, nheads, num_rope_angles): the angles of each step, not reduced. */
  thetas: Float64Array;
  /** (batch, seqlen, mimo_rank, nheads, headdim) */
  v: Float64Array;
  /** (batch, seqlen, mimo_rank, nheads, d_state) */
  k: Float64Array;
  q: Float64Array;
}

/** f of A = min(-f(dd_A), -A_floor). */
export function rateOf(value: number, activation: Mamba3Shape["A_activation"]): number {
  if (activation === "softplus") return softplus(value);
  return value >= 0 ? 1 + value : 1 / (1 - value);
}

/** Lanes of the i-th pair that is rotated: neighbors, or for MIMO i and half of them on. */
export function pairAt(i: number, { is_mimo, d_state }: Mamba3Shape): readonly [number, number] {
  return is_mimo ? [i, i + d_state / 2] : [2 * i, 2 * i + 1];
}

/**
 * What comes before the recurrence, for each b, t, head h of group g, and rank r:
 *
 *     dt = softplus(dd_dt + dt_bias)     A = min(-f(dd_A), -A_floor)     lambda = sigmoid(trap)
 *     theta[j] += pi tanh(angles[j]) dt
 *     k = rotate(B[r, g] B_norm / rms(B[r, g]) + B_bias[h, r], theta)    q likewise of C    v = x mimo_x[h, r]
 */
export function mamba3InputsFwd(inputs: Mamba3Inputs, shape: Mamba3Shape): Mamba3Steps {
  const { batch, seqlen, nheads, headdim, d_state, ngroups, mimo_rank, num_rope_angles } = shape;
  const rows = batch * seqlen;
  const perStep = () => new Float64Array(batch * nheads * seqlen);
  const steps: Mamba3Steps = {
    ...{ dt: perStep(), dtA: perStep(), gamma: perStep(), delta: perStep() },
    thetas: new Float64Array(rows * nheads * num_rope_angles),
    v: new Float64Array(rows * mimo_rank * nheads * headdim),
    k: new Float64Array(rows * mimo_rank * nheads * d_state),
    q: new Float64Array(rows * mimo_rank * nheads * d_state),
  };
  for (let row = 0; row < rows; row++) {
    const [b, t] = [Math.floor(row / seqlen), row % seqlen];
    for (let h = 0; h < nheads; h++) {
      const step = (b * nheads + h) * seqlen + t;
      const dt = softplus(at(inputs.dd_dt, row * nheads + h) + at(inputs.dt_bias, h));
      const f = rateOf(at(inputs.dd_A, row * nheads + h), shape.A_activation);
      const lambda = sigmoid(at(inputs.trap, row * nheads + h));
      steps.dt[step] = dt;
      steps.dtA[step] = dt * Math.min(-f, -shape.A_floor);
      steps.gamma[step] = lambda * dt;
      steps.delta[step] = (1 - lambda) * dt;
      for (let j = 0; j < num_rope_angles; j++) {
        const place = (row * nheads + h) * num_rope_angles + j;
        const before = t === 0
          ? at(inputs.theta, (b * nheads + h) * num_rope_angles + j)
          : at(steps.thetas, place - nheads * num_rope_angles);
        const turn = Math.PI * Math.tanh(at(inputs.angles, row * num_rope_angles + j)) * dt;
        steps.thetas[place] = before + turn;
      }
      const g = Math.floor(h * ngroups / nheads);
      for (let r = 0; r < mimo_rank; r++) {
        const own = (row * mimo_rank + r) * nheads + h;
        for (let p = 0; p < headdim; p++) {
          const factor = inputs.mimo_x === undefined
            ? 1
            : at(inputs.mimo_x, (h * mimo_rank + r) * headdim + p);
          steps.v[own * headdim + p] = factor * at(inputs.x, (row * nheads + h) * headdim + p);
        }
        const theta = steps.thetas.subarray((row * nheads + h) * num_rope_angles);
        const rotated = (
          values: ArrayLike<number>,
          weight: ArrayLike<number>,
          bias: ArrayLike<number>,
        ) =>
          rotate(
            normed(values, ((row * mimo_rank + r) * ngroups + g) * d_state, weight, shape)
              .map((v, n) => v + at(bias, (h * mimo_rank + r) * d_state + n)),
            theta,
            shape,
          );
        steps.k.set(rotated(inputs.B, inputs.B_norm, inputs.B_bias), own * d_state);
        steps.q.set(rotated(inputs.C, inputs.C_norm, inputs.C_bias), own * d_state);
      }
    }
  }
  return steps;
}

/** RMSNorm of d_state values from `first` on. */
function normed(
  values: ArrayLike<number>,
  first: number,
  weight: ArrayLike<number>,
  { d_state, eps }: Mamba3Shape,
): Float64Array {
  let squares = 0;
  for (let n = 0; n < d_state; n++) squares += at(values, first + n) ** 2;
  const rstd = 1 / Math.sqrt(squares / d_state + eps);
  return Float64Array.from(
    { length: d_state },
    (_, n) => at(values, first + n) * rstd * at(weight, n),
  );
}

/** Turns the pairs of a vector by the angles. */
export function rotate(
  values: Float64Array,
  theta: ArrayLike<number>,
  shape: Mamba3Shape,
): Float64Array {
  const turned = values.slice();
  for (let j = 0; j < shape.num_rope_angles; j++) {
    const [first, second] = pairAt(j, shape);
    const [a, b] = [at(values, first), at(values, second)];
    const [cos, sin] = [Math.cos(at(theta, j)), Math.sin(at(theta, j))];
    turned[first] = a * cos - b * sin;
    turned[second] = a * sin + b * cos;
  }
  return turned;
}

/** What the recurrence carries on. */
export interface Mamba3Carried {
  /** (batch, nheads, headdim, d_state) */
  ssm_state: ArrayLike<number>;
  /** (batch, mimo_rank, nheads, d_state): k of the latest step. */
  k: ArrayLike<number>;
  /** (batch, mimo_rank, nheads, headdim): v of the latest step, with what MIMO multiplies x by. */
  v: ArrayLike<number>;
}

/**
 * The recurrence, for each b, t, head h and rank r:
 *
 *     S = alpha S + alpha delta sum_r v_prev[r] k_prev[r] + gamma sum_r v[r] k[r]        alpha = exp(dt A)
 *     y[r] = S q[r] + D[h] v[r]
 *
 * @returns y (batch, seqlen, mimo_rank, nheads, headdim), ssm_state
 */
export function mamba3ScanFwd(
  steps: Mamba3Steps,
  D: ArrayLike<number>,
  carried: Mamba3Carried,
  { batch, seqlen, nheads, headdim, d_state, mimo_rank }: Mamba3Shape,
): { y: Float64Array; ssm_state: Float64Array } {
  const y = new Float64Array(steps.v.length);
  const state = Float64Array.from(
    { length: batch * nheads * headdim * d_state },
    (_, i) => at(carried.ssm_state, i),
  );
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < seqlen; t++) {
      for (let h = 0; h < nheads; h++) {
        const step = (b * nheads + h) * seqlen + t;
        const alpha = Math.exp(at(steps.dtA, step));
        const lane = (row: number, r: number) => (row * mimo_rank + r) * nheads + h;
        const row = b * seqlen + t;
        for (let p = 0; p < headdim; p++) {
          const first = ((b * nheads + h) * headdim + p) * d_state;
          for (let n = 0; n < d_state; n++) {
            let [before, now] = [0, 0];
            for (let r = 0; r < mimo_rank; r++) {
              const own = lane(row, r);
              now += at(steps.v, own * headdim + p) * at(steps.k, own * d_state + n);
              const last = lane(t === 0 ? b : row - 1, r);
              const { v, k } = t === 0 ? carried : steps;
              before += at(v, last * headdim + p) * at(k, last * d_state + n);
            }
            state[first + n] = alpha * (at(state, first + n) + at(steps.delta, step) * before) +
              at(steps.gamma, step) * now;
          }
          for (let r = 0; r < mimo_rank; r++) {
            const own = lane(row, r);
            let sum = at(D, h) * at(steps.v, own * headdim + p);
            for (let n = 0; n < d_state; n++) {
              sum += at(state, first + n) * at(steps.q, own * d_state + n);
            }
            y[own * headdim + p] = sum;
          }
        }
      }
    }
  }
  return { y, ssm_state: state };
}

/**
 * The same by sums over all earlier steps: with e[t] = delta[t + 1], 0 after the last step,
 *
 *     y[t, r] = sum_{s <= t, r'} exp(sum of dt A over s + 1 .. t) (gamma[s] + e[s]) (k[s, r'] . q[t, r]) v[s, r']
 *               - e[t] sum_r' (k[t, r'] . q[t, r]) v[t, r'] + exp(sum over 0 .. t) S' q[t, r] + D v[t, r]
 *
 * and S' = S + delta[0] sum_r v_prev[r] k_prev[r].
 */
export function mamba3SumsFwd(
  steps: Mamba3Steps,
  D: ArrayLike<number>,
  carried: Mamba3Carried,
  shape: Mamba3Shape,
): { y: Float64Array } {
  const { batch, seqlen, nheads, headdim, d_state, mimo_rank } = shape;
  const y = new Float64Array(steps.v.length);
  const dot = (s: number, t: number) => {
    let sum = 0;
    for (let n = 0; n < d_state; n++) {
      sum += at(steps.k, s * d_state + n) * at(steps.q, t * d_state + n);
    }
    return sum;
  };
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < nheads; h++) {
      const step = (t: number) => (b * nheads + h) * seqlen + t;
      const lane = (t: number, r: number) => ((b * seqlen + t) * mimo_rank + r) * nheads + h;
      const e = (t: number) => t + 1 < seqlen ? at(steps.delta, step(t + 1)) : 0;
      for (let t = 0; t < seqlen; t++) {
        for (let r = 0; r < mimo_rank; r++) {
          const own = y.subarray(lane(t, r) * headdim, (lane(t, r) + 1) * headdim);
          const add = (values: (p: number) => number, factor: number) => {
            for (let p = 0; p < headdim; p++) own[p] = at(own, p) + factor * values(p);
          };
          add((p) => at(steps.v, lane(t, r) * headdim + p), at(D, h));
          let decay = 0;
          for (let s = t; s >= 0; s--) {
            for (let other = 0; other < mimo_rank; other++) {
              const from = lane(s, other);
              const scale = at(steps.gamma, step(s)) + (s === t ? 0 : e(s));
              const factor = Math.exp(decay) * scale * dot(from, lane(t, r));
              add((p) => at(steps.v, from * headdim + p), factor);
            }
            decay += at(steps.dtA, step(s));
          }
          const q = (n: number) => at(steps.q, lane(t, r) * d_state + n);
          add((p) => {
            let sum = 0;
            for (let n = 0; n < d_state; n++) {
              let own = at(carried.ssm_state, ((b * nheads + h) * headdim + p) * d_state + n);
              for (let other = 0; other < mimo_rank; other++) {
                const last = (b * mimo_rank + other) * nheads + h;
                own += at(steps.delta, step(0)) * at(carried.v, last * headdim + p) *
                  at(carried.k, last * d_state + n);
              }
              sum += own * q(n);
            }
            return sum;
          }, Math.exp(decay));
        }
      }
    }
  }
  return { y };
}

/** What comes after the recurrence, beside its output. */
export interface Mamba3GateInputs {
  /** (batch, seqlen, mimo_rank, nheads, headdim) */
  y: ArrayLike<number>;
  /** (batch, seqlen, nheads, headdim) */
  z: ArrayLike<number>;
  /** (nheads, mimo_rank, headdim), or undefined for ones. */
  mimo_z: ArrayLike<number> | undefined;
  mimo_o: ArrayLike<number> | undefined;
  /** Of the norm over a head (nheads, headdim), or undefined for none. */
  norm: ArrayLike<number> | undefined;
}

/** out[h] = sum_r norm(y[r, h]) silu(z[h] mimo_z[h, r]) mimo_o[h, r]: (batch, seqlen, nheads, headdim). */
export function mamba3GateFwd(
  { y, z, mimo_z, mimo_o, norm }: Mamba3GateInputs,
  { batch, seqlen, nheads, headdim, mimo_rank, eps }: Mamba3Shape,
): Float64Array {
  const out = new Float64Array(batch * seqlen * nheads * headdim);
  for (let head = 0; head < batch * seqlen * nheads; head++) {
    const [row, h] = [Math.floor(head / nheads), head % nheads];
    for (let r = 0; r < mimo_rank; r++) {
      const own = ((row * mimo_rank + r) * nheads + h) * headdim;
      let squares = 0;
      for (let p = 0; p < headdim; p++) squares += at(y, own + p) ** 2;
      const rstd = 1 / Math.sqrt(squares / headdim + eps);
      for (let p = 0; p < headdim; p++) {
        const weight = (h * mimo_rank + r) * headdim + p;
        const gate = at(z, head * headdim + p) * (mimo_z === undefined ? 1 : at(mimo_z, weight));
        const value = at(y, own + p) * (norm === undefined ? 1 : rstd * at(norm, h * headdim + p));
        out[head * headdim + p] = at(out, head * headdim + p) +
          value * gate * sigmoid(gate) * (mimo_o === undefined ? 1 : at(mimo_o, weight));
      }
    }
  }
  return out;
}
