import { checkKernel, type KernelCheck } from "../kernel_check.ts";
import { Random } from "../random.ts";
import { at } from "../reference/at.ts";
import {
  s4dSystem as systemOfS4d,
  s4Power as powerReference,
  s4Series as seriesReference,
  s4System as systemOfS4,
} from "../reference/s4.ts";
import { slopes, weighted } from "../reference/slopes.ts";
import { type S4Case, s4Data } from "./s4_data.ts";

/** Five times the forward's. The largest gradients of a tensor are some hundred times its smallest. */
const LIMITS = { rtol: 5e-4, atol: 5e-4 };

const CASES: readonly S4Case[] = [false, true].flatMap((lowRank) =>
  [[5, 6, 4], [1, 34, 2], [1, 2, 1]].map(([d_model = 0, d_state = 0, chunk = 0]) => ({
    ...{ d_model, d_state, chunk, lowRank },
    name: `${lowRank ? "S4" : "S4D"}, ${d_model} channels, d_state ${d_state}, chunk ${chunk}`,
  }))
);

const SERIES_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "s4_series_bwd",
  name: each.name,
  ...checkKernel(["s4SeriesBwd"], (run) => {
    const { system, C, D, random } = s4Data(each, seed);
    const table = seriesReference({ system, C, D }, each);
    const grad_table = random.normal(table.length);
    const loss = (given: Partial<Record<"system" | "C" | "D", ArrayLike<number>>>) =>
      weighted(seriesReference({ system, C, D, ...given }, each), grad_table);
    const grad_system = run.output(system.length);
    const grad_C = run.output(C.length);
    const grad_D = run.output(D.length);
    const worked = run.state(grad_table);
    run.ops.s4SeriesBwd(run.program, {
      ...{ system: run.input(system), C: run.input(C), table: run.input(Float32Array.from(table)) },
      ...{ grad_table: worked, grad_system, grad_C, grad_D },
    }, { ...each, label: "check" });
    const expected = slopes(system, (values) => loss({ system: values }));
    // The step itself, behind what the chunk depends on, is left alone.
    const { d_model, d_state, lowRank } = each;
    const blocks = (lowRank ? 4 : 2) * d_state * d_model;
    run.expectThat("grad_system", grad_system, (words) => {
      const floats = new Float32Array(words.buffer, words.byteOffset, blocks);
      const worst = Math.max(
        ...floats.map((value, i) =>
          Math.abs(value - at(expected, i)) /
          (LIMITS.atol + LIMITS.rtol * Math.abs(at(expected, i)))
        ),
      );
      return { worst, detail: "grad_system" };
    });
    run.expect("grad_C", grad_C, slopes(C, (values) => loss({ C: values })), LIMITS);
    run.expect("grad_D", grad_D, slopes(D, (values) => loss({ D: values })), LIMITS);
    run.expectAnything("grad_table", worked);
  }),
}));

const SYSTEM_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => {
  const { d_model, d_state, name, lowRank } = each;
  const sizes = { d_model, d_state };
  const pairs = d_state / 2 * d_model;
  if (lowRank) {
    return {
      kernel: "s4_system_bwd",
      name,
      ...checkKernel(["s4SystemBwd"], (run) => {
        const { re: Lambda_re, im: Lambda_im, P, B, log_step, system, random } = s4Data(each, seed);
        const given = { Lambda_re, Lambda_im, P, B, log_step };
        const grad_system = random.normal(system.length);
        // Nothing depends on the step as such.
        grad_system.fill(0, 4 * d_state * d_model);
        const loss = (own: Partial<Record<keyof typeof given, ArrayLike<number>>>) =>
          weighted(systemOfS4({ ...given, ...own }, sizes), grad_system);
        const outputs = {
          grad_Lambda_re: run.output(pairs),
          grad_Lambda_im: run.output(pairs),
          grad_P: run.output(2 * pairs),
          grad_B: run.output(2 * pairs),
          grad_log_step: run.output(d_model),
        };
        run.ops.s4SystemBwd(run.program, {
          system: run.input(system),
          Lambda_re: run.input(Lambda_re),
          grad_system: run.input(grad_system),
          ...outputs,
        }, { ...sizes, label: "check" });
        for (const key of ["Lambda_re", "Lambda_im", "P", "B", "log_step"] as const) {
          const expected = slopes(given[key], (values) => loss({ [key]: values }));
          run.expect(`grad_${key}`, outputs[`grad_${key}`], expected, LIMITS);
        }
      }),
    };
  }
  return {
    kernel: "s4d_system_bwd",
    name,
    ...checkKernel(["s4dSystemBwd"], (run) => {
      const { re: A_re, im: A_im, log_step, system, random } = s4Data(each, seed);
      // Its gradient ends there.
      A_re[0] = 0.5;
      const given = { A_re, A_im, log_step };
      const grad_system = random.normal(system.length);
      const loss = (own: Partial<Record<keyof typeof given, ArrayLike<number>>>) =>
        weighted(systemOfS4d({ ...given, ...own }, sizes), grad_system);
      const outputs = {
        grad_A_re: run.output(pairs),
        grad_A_im: run.output(pairs),
        grad_log_step: run.output(d_model),
      };
      run.ops.s4dSystemBwd(run.program, {
        A_re: run.input(A_re),
        A_im: run.input(A_im),
        log_step: run.input(log_step),
        grad_system: run.input(grad_system),
        ...outputs,
      }, { ...sizes, label: "check" });
      for (const key of ["A_re", "A_im", "log_step"] as const) {
        const expected = slopes(given[key], (values) => loss({ [key]: values }));
        run.expect(`grad_${key}`, outputs[`grad_${key}`], expected, LIMITS);
      }
    }),
  };
});

const POWER_CHECKS: readonly KernelCheck[] = CASES.filter(({ lowRank }) => lowRank).map((
  each,
  seed,
) => ({
  kernel: "s4_power_bwd",
  name: each.name,
  ...checkKernel(["s4PowerBwd"], (run) => {
    const { d_model, d_state } = each;
    const { system, random } = s4Data(each, seed);
    const grad_Abar = random.normal(d_state ** 2 * d_model);
    const before = random.normal(system.length);
    const grad_system = run.state(before);
    run.ops.s4PowerBwd(run.program, {
      system: run.input(system),
      grad_Abar: run.input(grad_Abar),
      grad_system,
    }, { d_model, d_state, label: "check" });
    const expected = slopes(
      system,
      (values) => weighted(powerReference(values, { d_model, d_state, steps: 1 }), grad_Abar),
    );
    run.expect("grad_system", grad_system, expected.map((v, i) => v + at(before, i)), LIMITS);
  }),
}));

interface PassCase {
  readonly name: string;
  readonly batch: number;
  readonly slots: number;
  readonly count: number;
}

const PASS_CASES: readonly PassCase[] = [
  { name: "one state", batch: 1, slots: 1, count: 1 },
  { name: "batch 2, all of 4 slots", batch: 2, slots: 4, count: 4 },
  { name: "batch 2, the first 3 of 5 slots", batch: 2, slots: 5, count: 3 },
];

const PASS_SIZES = { d_model: 67, d_state: 4 };

/** E, and states of each slot, of d_state rows of both parts. */
function passData({ batch, slots }: PassCase, seed: number) {
  const { d_model, d_state } = PASS_SIZES;
  const random = new Random(seed);
  return {
    E: random.normal(d_state * d_model, 0.7),
    states: random.normal(batch * slots * d_state * d_model),
    random,
  };
}

/** The pass in float64: each state becomes E times the one before it, or conj(E) times the one after it, and itself. */
function passed(
  E: ArrayLike<number>,
  states: ArrayLike<number>,
  { batch, slots, count }: PassCase,
  reverse: boolean,
): Float64Array {
  const { d_model, d_state } = PASS_SIZES;
  const all = Float64Array.from(states);
  for (let b = 0; b < batch; b++) {
    for (let i = 1; i < count; i++) {
      const slot = reverse ? count - 1 - i : i;
      for (let n = 0; n < d_state; n += 2) {
        for (let d = 0; d < d_model; d++) {
          const place = (at: number, part: number) =>
            ((b * slots + at) * d_state + n + part) * d_model + d;
          const [re, im] = [
            at(E, n * d_model + d),
            (reverse ? -1 : 1) * at(E, (n + 1) * d_model + d),
          ];
          const from = reverse ? slot + 1 : slot - 1;
          const [x, y] = [at(all, place(from, 0)), at(all, place(from, 1))];
          all[place(slot, 0)] = at(states, place(slot, 0)) + re * x - im * y;
          all[place(slot, 1)] = at(states, place(slot, 1)) + re * y + im * x;
        }
      }
    }
  }
  return all;
}

const PASS_CHECKS: readonly KernelCheck[] = PASS_CASES.flatMap((each, seed) => [
  ...[false, true].map((reverse): KernelCheck => ({
    kernel: "s4d_pass",
    name: `${each.name}${reverse ? ", in reverse" : ""}`,
    ...checkKernel(["s4dPass"], (run) => {
      const { E, states } = passData(each, seed);
      const tensor = run.state(states);
      run.ops.s4dPass(run.program, { E: run.input(E), states: tensor }, {
        ...{ ...PASS_SIZES, batch: each.batch, slots: each.slots, count: each.count, reverse },
        label: "check",
      });
      run.expect("states", tensor, passed(E, states, each, reverse), { rtol: 1e-5, atol: 1e-5 });
    }),
  })),
  {
    kernel: "s4d_pass_bwd",
    name: each.name,
    ...checkKernel(["s4dPassBwd"], (run) => {
      const { d_model, d_state } = PASS_SIZES;
      const { batch, count, slots } = each;
      const { E, states: left, random } = passData(each, seed);
      const grad = random.normal(batch * count * d_state * d_model);
      // Of the states before each chunk, and gradients of these as the reverse pass leaves them.
      const reversed = passed(E, grad, { ...each, slots: count }, true);
      const own = passed(E, left, each, false);
      const grad_E = run.output(d_state * d_model);
      run.ops.s4dPassBwd(run.program, {
        states: run.input(Float32Array.from(own)),
        grad_states: run.input(Float32Array.from(reversed)),
        grad_E,
      }, { ...PASS_SIZES, batch, slots, gradSlots: count, count, label: "check" });
      const size = d_state * d_model;
      const loss = (values: Float64Array) => {
        const states = passed(values, left, each, false);
        return weighted(
          Array.from(
            grad,
            (_, i) =>
              at(states, Math.floor(i / (count * size)) * slots * size + i % (count * size)),
          ),
          grad,
        );
      };
      run.expect("grad_E", grad_E, slopes(E, loss), LIMITS);
    }),
  },
]);

/** Checks of states from chunk to chunk, and of S4D's and S4's backward. */
export const S4_BWD_CHECKS: readonly KernelCheck[] = [
  ...PASS_CHECKS,
  ...SERIES_CHECKS,
  ...SYSTEM_CHECKS,
  ...POWER_CHECKS,
];
