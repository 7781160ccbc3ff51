/**
 * S4D and S4 in float64, by matrices: what a step does is a real matrix over both parts of all pairs, and what a chunk does are
 * its powers. Tensors lie as src/model/s4_sizes.ts has them.
 */

import { at } from "./at.ts";

type Numbers = ArrayLike<number>;

interface Sizes {
  readonly d_model: number;
  readonly d_state: number;
}

interface ChunkSizes extends Sizes {
  readonly chunk: number;
  readonly lowRank: boolean;
}

/** A complex number. */
type Complex = readonly [re: number, im: number];

function times([a, b]: Complex, [c, d]: Complex): Complex {
  return [a * c - b * d, a * d + b * c];
}

function over([a, b]: Complex, [c, d]: Complex): Complex {
  const square = c * c + d * d;
  return [(a * c + b * d) / square, (b * c - a * d) / square];
}

/** S4D by zero-order hold: a = exp(w) and b = (exp(w) - 1) / A with w = exp(log_step) A. */
export function s4dSystem(
  { A_re, A_im, log_step }: Record<"A_re" | "A_im" | "log_step", Numbers>,
  { d_model, d_state }: Sizes,
): Float64Array {
  const system = new Float64Array(2 * d_state * d_model);
  for (let n = 0; n < d_state / 2; n++) {
    for (let d = 0; d < d_model; d++) {
      const A: Complex = [Math.min(at(A_re, n * d_model + d), -1e-4), at(A_im, n * d_model + d)];
      const step = Math.exp(at(log_step, d));
      const decay = Math.exp(step * A[0]);
      const a: Complex = [decay * Math.cos(step * A[1]), decay * Math.sin(step * A[1])];
      const b = over([a[0] - 1, a[1]], A);
      for (const [i, value] of [...a, ...b].entries()) {
        const row = (i < 2 ? 0 : d_state) + 2 * n + i % 2;
        system[row * d_model + d] = value;
      }
    }
  }
  return system;
}

/** S4 by the bilinear transform: see kernels/s4_system.wgsl for what a, b, p and q are. */
export function s4System(
  { Lambda_re, Lambda_im, P, B, log_step }: Record<
    "Lambda_re" | "Lambda_im" | "P" | "B" | "log_step",
    Numbers
  >,
  { d_model, d_state }: Sizes,
): Float64Array {
  const system = new Float64Array((4 * d_state + 1) * d_model);
  for (let d = 0; d < d_model; d++) {
    const step = Math.exp(at(log_step, d));
    const z = 2 / step;
    const pairs = Array.from({ length: d_state / 2 }, (_, n) => {
      const part = (tensor: Numbers): Complex => [
        at(tensor, 2 * n * d_model + d),
        at(tensor, (2 * n + 1) * d_model + d),
      ];
      const re = Math.min(at(Lambda_re, n * d_model + d), -1e-4);
      const im = at(Lambda_im, n * d_model + d);
      return { Lambda: [re, im] as const, P: part(P), B: part(B), G: over([1, 0], [z - re, -im]) };
    });
    const sum = (of: (pair: typeof pairs[number]) => Complex) =>
      2 * pairs.reduce((total, pair) => total + of(pair)[0], 0);
    const conjP = ({ P: [re, im] }: typeof pairs[number]): Complex => [re, -im];
    const kappa = sum((pair) => times(conjP(pair), times(pair.G, pair.P)));
    const beta = sum((pair) => times(conjP(pair), times([2, 0], times(pair.G, pair.B)))) /
      (1 + kappa);
    for (const [n, pair] of pairs.entries()) {
      const { Lambda, P, B, G } = pair;
      const a = times([z + Lambda[0], Lambda[1]], G);
      const p = times(G, P);
      const GB = times(G, B);
      const q = times([2 * z / (1 + kappa), 0], times(conjP(pair), G));
      const values = [a, [2 * GB[0] - beta * p[0], 2 * GB[1] - beta * p[1]], p, [
        2 * q[0],
        -2 * q[1],
      ]];
      for (const [block, value] of values.entries()) {
        for (const [part, number] of value.entries()) {
          system[(block * d_state + 2 * n + part) * d_model + d] = number;
        }
      }
    }
    system[4 * d_state * d_model + d] = step;
  }
  return system;
}

/** A channel's step as a matrix (d_state, d_state), what an input adds, and what an output takes. */
function stepOf(
  system: Numbers,
  C: Numbers,
  d: number,
  { d_model, d_state, lowRank }: Omit<ChunkSizes, "chunk">,
): { matrix: number[][]; b: number[]; c: number[] } {
  const row = (block: number, i: number) => at(system, (block * d_state + i) * d_model + d);
  const rows = Array.from({ length: d_state }, (_, i) => i);
  const matrix = rows.map((i) =>
    rows.map((k) => {
      const pair = i - i % 2;
      const own = i === k ? row(0, pair) : (i % 2 === 1 ? 1 : -1) * row(0, pair + 1);
      const diagonal = k - k % 2 === pair ? own : 0;
      return diagonal - (lowRank ? row(2, i) * row(3, k) : 0);
    })
  );
  return {
    matrix,
    b: rows.map((i) => row(1, i)),
    c: rows.map((i) => (i % 2 === 0 ? 2 : -2) * at(C, i * d_model + d)),
  };
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * at(b, i), 0);
}

/** M x. */
function applied(matrix: readonly number[][], x: readonly number[]): number[] {
  return matrix.map((row) => dot(row, x));
}

/** x^T M. */
function appliedLeft(matrix: readonly number[][], x: readonly number[]): number[] {
  return x.map((_, k) => matrix.reduce((sum, row, i) => sum + at(x, i) * at(row, k), 0));
}

/** M N. */
function product(left: readonly number[][], right: readonly number[][]): number[][] {
  const columns = right.map((_, k) => right.map((row) => at(row, k)));
  return left.map((row) => columns.map((column) => dot(row, column)));
}

/** M^steps, by halves: one step after the other would take steps products. */
function power(matrix: readonly number[][], steps: number): number[][] {
  if (steps === 0) return matrix.map((row, i) => row.map((_, k) => Number(i === k)));
  const half = power(matrix, Math.floor(steps / 2));
  const whole = product(half, half);
  return steps % 2 === 0 ? whole : product(matrix, whole);
}

/** M^steps, (d_state, d_state, d_model). */
export function s4Power(
  system: Numbers,
  { steps, d_model, d_state }: Sizes & { readonly steps: number },
): Float64Array {
  const E = new Float64Array(d_state ** 2 * d_model);
  const none = new Float64Array(d_state * d_model);
  for (let d = 0; d < d_model; d++) {
    const { matrix } = stepOf(system, none, d, { d_model, d_state, lowRank: true });
    for (const [i, row] of power(matrix, steps).entries()) {
      for (const [k, value] of row.entries()) E[(i * d_state + k) * d_model + d] = value;
    }
  }
  return E;
}

/** The table of a chunk, without E where there is a low rank. */
export function s4Series(
  { system, C, D }: Record<"system" | "C" | "D", Numbers>,
  shape: ChunkSizes,
): Float64Array {
  const { d_model, d_state, chunk, lowRank } = shape;
  const table = new Float64Array((chunk * (1 + 2 * d_state) + (lowRank ? 0 : d_state)) * d_model);
  for (let d = 0; d < d_model; d++) {
    const { matrix, b, c } = stepOf(system, C, d, shape);
    const store = (row: number, values: readonly number[]) => {
      for (const [i, value] of values.entries()) table[(row + i) * d_model + d] = value;
    };
    let [r, o] = [b, c];
    for (let l = 0; l < chunk; l++) {
      store(l, [dot(c, r) + (l === 0 ? at(D, d) : 0)]);
      store(chunk + (2 * chunk - 1 - l) * d_state, r);
      r = applied(matrix, r);
      o = appliedLeft(matrix, o);
      store(chunk + l * d_state, o);
    }
    if (lowRank) continue;
    for (let n = 0; n < d_state; n += 2) {
      const a: Complex = [at(system, n * d_model + d), at(system, (n + 1) * d_model + d)];
      let power: Complex = [1, 0];
      for (let t = 0; t < chunk; t++) power = times(a, power);
      store(chunk * (1 + 2 * d_state) + n, power);
    }
  }
  return table;
}

/** The recurrence from a state (d_state, d_model) of each sequence: outputs, and the state after each step. */
export function s4Scan(
  { system, C, D, u, state }: Record<"system" | "C" | "D" | "u" | "state", Numbers>,
  shape: Omit<ChunkSizes, "chunk"> & { readonly batch: number; readonly seqlen: number },
): { readonly y: Float64Array; readonly states: readonly Float64Array[] } {
  const { d_model, d_state, batch, seqlen } = shape;
  const y = new Float64Array(batch * seqlen * d_model);
  const states = Array.from(
    { length: seqlen + 1 },
    () => new Float64Array(batch * d_state * d_model),
  );
  for (let d = 0; d < d_model; d++) {
    const { matrix, b, c } = stepOf(system, C, d, shape);
    for (let s = 0; s < batch; s++) {
      let x = b.map((_, i) => at(state, (s * d_state + i) * d_model + d));
      for (let t = 0; t <= seqlen; t++) {
        for (const [i, value] of x.entries()) {
          const all = states[t];
          if (all !== undefined) all[(s * d_state + i) * d_model + d] = value;
        }
        if (t === seqlen) continue;
        const input = at(u, (s * seqlen + t) * d_model + d);
        x = applied(matrix, x).map((value, i) => value + at(b, i) * input);
        y[(s * seqlen + t) * d_model + d] = dot(c, x) + at(D, d) * input;
      }
    }
  }
  return { y, states };
}

/** GELU by its form with tanh. */
export function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}
