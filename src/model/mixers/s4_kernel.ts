/** What a layer of S4D or S4 convolves with, in float64: for people to look at. */

import type { LayerKernels } from "./mixer.ts";
import type { S4Config } from "./s4_fields.ts";

/** The real and the imaginary part of a number. */
interface Complex {
  re: number;
  im: number;
}

/**
 * The first `length` numbers of each channel's kernel: what comes of an input of 1, step by step.
 *
 * @param read A tensor of the layer, by the last part of its name.
 */
export function s4Kernels(
  { d_model, d_state, model_type }: S4Config,
  read: (name: string) => ArrayLike<number>,
  length: number,
): LayerKernels {
  const pairs = d_state / 2;
  const isDiagonal = model_type === "s4d";
  const [re, im] = isDiagonal ? ["A_re", "A_im"] as const : ["Lambda_re", "Lambda_im"] as const;
  const value = (name: string, index: number) => read(name)[index] ?? NaN;
  const steps = Array.from({ length: d_model }, (_, d) => Math.exp(value("log_step", d)));
  const kernels = steps.map((step, d) => {
    const part = (name: string, n: number): Complex => ({
      re: value(name, 2 * n * d_model + d),
      im: value(name, (2 * n + 1) * d_model + d),
    });
    const states = Array.from({ length: pairs }, (_, n) => ({
      A: { re: Math.min(value(re, n * d_model + d), -1e-4), im: value(im, n * d_model + d) },
      C: part("C", n),
      ...(isDiagonal ? {} : { P: part("P", n), B: part("B", n) }),
    }));
    const next = isDiagonal ? zeroOrderHold(states, step) : bilinear(states, step);
    return Float64Array.from({ length }, (_, l) => {
      const x = next(l === 0 ? 1 : 0);
      return x.reduce((sum, { re, im }, n) => {
        const { C } = states[n] ?? { C: { re: NaN, im: NaN } };
        return sum + 2 * (C.re * re - C.im * im);
      }, 0);
    });
  });
  return { steps, kernels };
}

interface PairOfStates {
  readonly A: Complex;
  readonly P?: Complex;
  readonly B?: Complex;
}

/** Takes an input, and gives the state after it. */
type Step = (input: number) => readonly Complex[];

function zeroOrderHold(states: readonly PairOfStates[], step: number): Step {
  const x = states.map((): Complex => ({ re: 0, im: 0 }));
  const factors = states.map(({ A }) => {
    const decay = Math.exp(step * A.re);
    const a = { re: decay * Math.cos(step * A.im), im: decay * Math.sin(step * A.im) };
    return { a, b: over({ re: a.re - 1, im: a.im }, A) };
  });
  return (input) => {
    for (const [n, { a, b }] of factors.entries()) {
      const own = times(a, x[n] ?? { re: NaN, im: NaN });
      x[n] = { re: own.re + input * b.re, im: own.im + input * b.im };
    }
    return x;
  };
}

/** (z - A) x[t] = (z + A) x[t-1] + 2 B u[t] with z = 2 / step, and A = diag(Lambda) - P P*: Woodbury's identity each step. */
function bilinear(states: readonly PairOfStates[], step: number): Step {
  const none = { re: NaN, im: NaN };
  const z = 2 / step;
  const x = states.map((): Complex => ({ re: 0, im: 0 }));
  const G = states.map(({ A }) => over({ re: 1, im: 0 }, { re: z - A.re, im: -A.im }));
  /** P* v of these and their conjugates. */
  const along = (v: readonly Complex[]) =>
    states.reduce((sum, { P = none }, n) => {
      const { re, im } = v[n] ?? none;
      return sum + 2 * (P.re * re + P.im * im);
    }, 0);
  const GP = states.map(({ P = none }, n) => times(G[n] ?? none, P));
  const kappa = along(GP);
  return (input) => {
    const before = along(x);
    const w = states.map(({ A, P = none, B = none }, n) => {
      const own = times({ re: z + A.re, im: A.im }, x[n] ?? none);
      return times(G[n] ?? none, {
        re: own.re - P.re * before + 2 * B.re * input,
        im: own.im - P.im * before + 2 * B.im * input,
      });
    });
    const coupled = along(w) / (1 + kappa);
    for (const [n, { re, im }] of w.entries()) {
      const p = GP[n] ?? none;
      x[n] = { re: re - p.re * coupled, im: im - p.im * coupled };
    }
    return x;
  };
}

function times(a: Complex, b: Complex): Complex {
  return { re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re };
}

function over(a: Complex, b: Complex): Complex {
  const square = b.re ** 2 + b.im ** 2;
  return { re: (a.re * b.re + a.im * b.im) / square, im: (a.im * b.re - a.re * b.im) / square };
}
