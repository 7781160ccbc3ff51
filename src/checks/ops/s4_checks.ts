import { checkKernel, ELEMENTWISE, type KernelCheck } from "../kernel_check.ts";
import {
  s4dSystem as systemOfS4d,
  s4Power as powerReference,
  s4Scan as scanReference,
  s4Series as seriesReference,
  s4System as systemOfS4,
} from "../reference/s4.ts";
import { type S4Case, s4Data } from "./s4_data.ts";

/** Powers of a step multiply what it is off by: half of the bits of 64 steps. */
const SERIES = { rtol: 1e-4, atol: 1e-5 };

const SIZES: readonly Omit<S4Case, "name">[] = [
  { d_model: 65, d_state: 64, chunk: 64, lowRank: false },
  { d_model: 65, d_state: 64, chunk: 64, lowRank: true },
  { d_model: 21, d_state: 6, chunk: 5, lowRank: false },
  { d_model: 21, d_state: 6, chunk: 5, lowRank: true },
  { d_model: 1, d_state: 2, chunk: 1, lowRank: false },
  { d_model: 1, d_state: 2, chunk: 1, lowRank: true },
  { d_model: 3, d_state: 34, chunk: 2, lowRank: false },
  { d_model: 3, d_state: 34, chunk: 2, lowRank: true },
];

const CASES: readonly S4Case[] = SIZES.map((sizes) => ({
  ...sizes,
  name: `${sizes.lowRank ? "S4" : "S4D"}, ${sizes.d_model} channels, ` +
    `d_state ${sizes.d_state}, chunk ${sizes.chunk}`,
}));

const SYSTEM_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => {
  const { d_model, d_state, name, lowRank } = each;
  const sizes = { d_model, d_state };
  if (lowRank) {
    return {
      kernel: "s4_system",
      name,
      ...checkKernel(["s4System"], (run) => {
        const { re: Lambda_re, im: Lambda_im, P, B, log_step } = s4Data(each, seed);
        const given = { Lambda_re, Lambda_im, P, B, log_step };
        const expected = systemOfS4(given, sizes);
        const system = run.output(expected.length);
        run.ops.s4System(run.program, {
          Lambda_re: run.input(Lambda_re),
          Lambda_im: run.input(Lambda_im),
          P: run.input(P),
          B: run.input(B),
          log_step: run.input(log_step),
          system,
        }, { ...sizes, label: "check" });
        run.expect("system", system, expected, ELEMENTWISE);
      }),
    };
  }
  return {
    kernel: "s4d_system",
    name,
    ...checkKernel(["s4dSystem"], (run) => {
      const { re: A_re, im: A_im, log_step } = s4Data(each, seed);
      const expected = systemOfS4d({ A_re, A_im, log_step }, sizes);
      const system = run.output(expected.length);
      const tensors = {
        A_re: run.input(A_re),
        A_im: run.input(A_im),
        log_step: run.input(log_step),
      };
      run.ops.s4dSystem(run.program, { ...tensors, system }, { ...sizes, label: "check" });
      // A turn of 10 rounds to 5e-7 in f32.
      run.expect("system", system, expected, ELEMENTWISE);
    }),
  };
});

/** Rates that the inverse of HiPPO reaches, and one that has grown above its limit. */
const FAST_CHECK: KernelCheck = {
  kernel: "s4d_system",
  name: "fast turns, and a rate above its limit",
  ...checkKernel(["s4dSystem"], (run) => {
    const A_re = Float32Array.of(-0.5, -0.5, -40, 0.3);
    const A_im = Float32Array.of(1304, -97.4, 0.01, 20);
    const log_step = Float32Array.of(Math.log(0.1), Math.log(0.2));
    const sizes = { d_model: 2, d_state: 4 };
    const expected = systemOfS4d({ A_re, A_im, log_step }, sizes);
    const system = run.output(expected.length);
    run.ops.s4dSystem(run.program, {
      A_re: run.input(A_re),
      A_im: run.input(A_im),
      log_step: run.input(log_step),
      system,
    }, { ...sizes, label: "check" });
    // A turn of 130 rounds to 1e-5 of one in f32.
    run.expect("system", system, expected, { rtol: 1e-5, atol: 2e-5 });
  }),
};

const SERIES_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "s4_series",
  name: each.name,
  ...checkKernel(["s4Series"], (run) => {
    const { system, C, D } = s4Data(each, seed);
    const expected = seriesReference({ system, C, D }, each);
    const table = run.state(new Float32Array(expected.length));
    const tensors = { system: run.input(system), C: run.input(C), D: run.input(D), table };
    run.ops.s4Series(run.program, tensors, { ...each, label: "check" });
    run.expect("table", table, expected, SERIES);
  }),
}));

const POWER_CHECKS: readonly KernelCheck[] = CASES.filter(({ lowRank }) => lowRank).map((
  each,
  seed,
) => ({
  kernel: "s4_power",
  name: each.name,
  ...checkKernel(["s4Power"], (run) => {
    const { system } = s4Data(each, seed);
    const shape = { ...each, steps: each.chunk };
    const expected = powerReference(system, shape);
    const E = run.output(expected.length);
    run.ops.s4Power(run.program, { system: run.input(system), E }, { ...shape, label: "check" });
    run.expect("E", E, expected, SERIES);
  }),
}));

interface ScanCase {
  readonly name: string;
  readonly batch: number;
  readonly seqlen: number;
  /** Whether the states before chunks stay. */
  readonly keep?: boolean;
  /** Chunks that something else has done. */
  readonly done?: number;
}

const SCAN_CASES: readonly ScanCase[] = [
  { name: "one step", batch: 1, seqlen: 1 },
  { name: "seqlen 11, batch 2", batch: 2, seqlen: 11 },
  { name: "seqlen 11, states before chunks stay", batch: 2, seqlen: 11, keep: true },
  { name: "whole chunks, states before chunks stay", batch: 1, seqlen: 10, keep: true },
  { name: "what is left of two chunks", batch: 2, seqlen: 13, keep: true, done: 2 },
];

const SCAN_CHECKS: readonly KernelCheck[] = SCAN_CASES.flatMap((each) =>
  CASES.slice(2).map((sizes, seed): KernelCheck => ({
    kernel: "s4_scan",
    name: `${sizes.name}, ${each.name}`,
    ...checkKernel(["s4Scan"], (run) => {
      const { batch, seqlen, keep = false, done = 0 } = each;
      const { d_model, d_state, chunk } = sizes;
      const { system, C, D, random } = s4Data(sizes, seed);
      const u = random.normal(batch * seqlen * d_model);
      const state = random.normal(batch * d_state * d_model);
      const oracle = scanReference({ system, C, D, u, state }, { ...sizes, batch, seqlen });
      const slots = keep ? Math.ceil(seqlen / chunk) + 1 : 1;
      const first = done * chunk;
      const size = d_state * d_model;
      const before = new Float32Array(batch * slots * size);
      const after = new Float64Array(batch * slots * size);
      for (let b = 0; b < batch; b++) {
        for (let slot = 0; slot < slots; slot++) {
          const t = keep ? Math.min(slot * chunk, seqlen) : seqlen;
          const own = (states: ArrayLike<number> | undefined) =>
            Array.from(states ?? []).slice(b * size, (b + 1) * size);
          const place = (b * slots + slot) * size;
          if (!keep) before.set(own(oracle.states[0]), place);
          else if (t <= first) before.set(own(oracle.states[t]), place);
          after.set(own(oracle.states[t]), place);
        }
      }
      const y = run.state(new Float32Array(oracle.y.length));
      const states = run.state(before);
      run.ops.s4Scan(run.program, {
        system: run.input(system),
        C: run.input(C),
        D: run.input(D),
        u: run.input(u),
        states,
        y,
      }, { ...sizes, batch, seqlen, first, slots, label: "check" });
      const expected = oracle.y.map((value, i) =>
        Math.floor(i / d_model) % seqlen < first ? 0 : value
      );
      run.expect("y", y, expected, SERIES);
      run.expect("states", states, after, SERIES);
    }),
  }))
);

/** Checks of S4D's and S4's forward. */
export const S4_CHECKS: readonly KernelCheck[] = [
  ...SYSTEM_CHECKS,
  FAST_CHECK,
  ...SERIES_CHECKS,
  ...POWER_CHECKS,
  ...SCAN_CHECKS,
];
