/**
 * S4's convolution kernel by its generating function, in float64: no power of the step is taken, and nothing is shared with
 * the recurrence (Gu, Goel & Re 2022, Section 3).
 */

import { at } from "./at.ts";

type Complex = readonly [re: number, im: number];

const add = ([a, b]: Complex, [c, d]: Complex): Complex => [a + c, b + d];
const sub = ([a, b]: Complex, [c, d]: Complex): Complex => [a - c, b - d];
const mul = ([a, b]: Complex, [c, d]: Complex): Complex => [a * c - b * d, a * d + b * c];
const conj = ([a, b]: Complex): Complex => [a, -b];
const scale = ([a, b]: Complex, by: number): Complex => [a * by, b * by];

function div(a: Complex, [c, d]: Complex): Complex {
  return scale(mul(a, [c, -d]), 1 / (c * c + d * d));
}

function sum(values: readonly Complex[]): Complex {
  return values.reduce(add, [0, 0]);
}

/** One channel: of each pair of conjugates the one that is kept. */
export interface S4Channel {
  readonly Lambda: readonly Complex[];
  readonly P: readonly Complex[];
  readonly B: readonly Complex[];
  readonly C: readonly Complex[];
  readonly step: number;
}

/** K[0] .. K[length - 1] of y = 2 Re(C x), from the transform of it at roots of unity: Cauchy sums, and then its inverse. */
export function s4Kernel(channel: S4Channel, length: number): Float64Array {
  const { step } = channel;
  const whole = (values: readonly Complex[]) => values.flatMap((value) => [value, conj(value)]);
  const [Lambda, P, B] = [whole(channel.Lambda), whole(channel.P), whole(channel.B)];
  const C = truncated(Lambda, P, whole(channel.C), step, length);
  const roots = Array.from({ length }, (_, j): Complex => {
    const angle = -2 * Math.PI * j / length;
    return [Math.cos(angle), Math.sin(angle)];
  });
  const transform = roots.map((root) => {
    const g = scale(div(sub([1, 0], root), add([1, 0], root)), 2 / step);
    const cauchy = (left: readonly Complex[], right: readonly Complex[]) =>
      sum(Lambda.map((rate, n) => div(mul(at(left, n), at(right, n)), sub(g, rate))));
    const starP = P.map(conj);
    const coupled = div(mul(cauchy(C, P), cauchy(starP, B)), add([1, 0], cauchy(starP, P)));
    return mul(div([2, 0], add([1, 0], root)), sub(cauchy(C, B), coupled));
  });
  return Float64Array.from({ length }, (_, l) => {
    const terms = transform.map((value, j) => mul(value, conj(at(roots, j * l % length))));
    return sum(terms)[0] / length;
  });
}

/** C (1 - Abar^length): with it the transform of a kernel that never ends is that of its first numbers alone. */
function truncated(
  Lambda: readonly Complex[],
  P: readonly Complex[],
  C: readonly Complex[],
  step: number,
  length: number,
): Complex[] {
  const size = Lambda.length;
  const z = 2 / step;
  const A = Lambda.map((rate, i) =>
    P.map((p, k) => sub(i === k ? rate : [0, 0], mul(at(P, i), conj(p))))
  );
  // (z - A)^-1 (z + A), by elimination.
  const rows = A.map((row, i) => [
    ...row.map((value, k): Complex => sub(i === k ? [z, 0] : [0, 0], value)),
    ...row.map((value, k): Complex => add(i === k ? [z, 0] : [0, 0], value)),
  ]);
  for (let pivot = 0; pivot < size; pivot++) {
    const own = at(rows, pivot);
    const head = at(own, pivot);
    rows[pivot] = own.map((value) => div(value, head));
    for (let i = 0; i < size; i++) {
      if (i === pivot) continue;
      const factor = at(at(rows, i), pivot);
      rows[i] = at(rows, i).map((value, k) => sub(value, mul(factor, at(at(rows, pivot), k))));
    }
  }
  const Abar = rows.map((row) => row.slice(size));
  let power = [...C];
  for (let t = 0; t < length; t++) {
    power = power.map((_, k) => sum(power.map((value, i) => mul(value, at(at(Abar, i), k)))));
  }
  return C.map((value, k) => sub(value, at(power, k)));
}
