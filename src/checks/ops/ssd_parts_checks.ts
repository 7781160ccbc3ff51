import { measureCloseness } from "../closeness.ts";
import { Random } from "../random.ts";
import { limitedDt } from "../reference/ssd.ts";
import { checkKernel, ELEMENTWISE, EXACT, type KernelCheck, type Limits } from "../kernel_check.ts";
import { ODD_SSD, oracleShape, type SsdCase, ssdData } from "./ssd_data.ts";

/** For sums of products over a chunk or a state, scaled by decays. */
const SSD: Limits = { rtol: 1e-4, atol: 1e-4 };

/** A case of kernels of the chunked form, each by itself. */
export interface PartCase extends SsdCase {
  readonly chunk: number;
}

function partCase(each: Omit<PartCase, "name">): PartCase {
  const { headdim, d_state } = each.sizes;
  const reset = each.reset ? ", steps that forget" : "";
  const name = `headdim ${headdim}, d_state ${d_state}, seqlen ${each.seqlen}, chunk ${each.chunk}`;
  return { ...each, name: name + reset };
}

/** Cases that have partial chunks, tiles and slices, several groups, and steps that forget. */
export const PART_CASES: readonly PartCase[] = [
  partCase({
    sizes: { ...ODD_SSD, headdim: 65, d_state: 67 },
    batch: 1,
    seqlen: 70,
    chunk: 61,
    reset: 100,
  }),
  // The last of each table has these sizes, so that a check of each kernel compiles each kernel once.
  partCase({ sizes: ODD_SSD, batch: 2, seqlen: 33, chunk: 16 }),
];

/** Chunks of a case, its shape for the ops, and the i-th element's place in (batch, nheads, seqlen). */
export function layoutOf({ sizes, batch, seqlen, chunk }: PartCase) {
  return {
    chunks: Math.ceil(seqlen / chunk),
    shape: { ...sizes, batch, seqlen, chunk, label: "check" },
    lastStep: (c: number) => Math.min((c + 1) * chunk, seqlen) - 1,
    place: (b: number, h: number, t: number) => (b * sizes.nheads + h) * seqlen + t,
  };
}

/** dt, and the sum of dt A since the chunk began: both (batch, nheads, seqlen), f64. */
export function decaysOf(data: ReturnType<typeof ssdData>, each: PartCase) {
  const { seqlen, chunk, sizes: { nheads } } = each;
  const [dt, sum] = [new Float64Array(data.dt.length), new Float64Array(data.dt.length)];
  for (let i = 0; i < sum.length; i++) {
    const [b, h, t] = [
      Math.floor(i / seqlen / nheads),
      Math.floor(i / seqlen) % nheads,
      i % seqlen,
    ];
    const raw = (data.dt[(b * seqlen + t) * nheads + h] ?? NaN) + (data.dt_bias[h] ?? NaN);
    dt[i] = limitedDt(raw, oracleShape(each).dt_limit);
    const before = t % chunk === 0 ? 0 : sum[i - 1] ?? NaN;
    sum[i] = before - (dt[i] ?? NaN) * Math.exp(data.A_log[h] ?? NaN);
  }
  return { dt, sum };
}

/** The same as ssd_decays would leave it. */
export function packedDecays({ dt, sum }: ReturnType<typeof decaysOf>): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: 4 * dt.length }, (_, i) => {
    const total = sum[i >> 2] ?? NaN;
    const whole = Math.floor(total);
    return [dt[i >> 2], whole, total - whole, Math.exp(total)][i % 4] ?? NaN;
  });
}

const DECAYS_CHECKS = PART_CASES.map((each, seed): KernelCheck => ({
  kernel: "ssd_decays",
  name: each.name,
  ...checkKernel(["ssdDecays"], (run) => {
    const data = ssdData(each, seed);
    const { shape } = layoutOf(each);
    const decays = run.output(data.dt.length * 4);
    const tensors = {
      zxbcdt: run.input(data.zxbcdt),
      A_log: run.input(data.A_log),
      dt_bias: run.input(data.dt_bias),
      decays,
    };
    run.ops.ssdDecays(run.program, tensors, shape);
    const { dt, sum } = decaysOf(data, each);
    run.expectThat("decays", decays, (words) => {
      const found = new Float32Array(words.buffer, 0, words.length);
      const part = (first: number) => Float64Array.from(sum, (_, i) => found[4 * i + first] ?? NaN);
      const [whole, fraction] = [part(1), part(2)];
      // dt A of each step, from the sums: the error must not grow with them.
      const steps = (values: Float64Array) =>
        values.map((v, i) => i % each.seqlen % each.chunk === 0 ? v : v - (values[i - 1] ?? NaN));
      const foundSteps = steps(whole).map((v, i) => v + (steps(fraction)[i] ?? NaN));
      const results = [
        { name: "dt", ...measureCloseness(part(0), dt, ELEMENTWISE) },
        { name: "dt A", ...measureCloseness(foundSteps, steps(sum), ELEMENTWISE) },
        { name: "exp(sum)", ...measureCloseness(part(3), sum.map(Math.exp), ELEMENTWISE) },
        { name: "whole", ...measureCloseness(whole, whole.map(Math.floor), EXACT) },
      ];
      const { name, index, worst, ...values } = results.reduce((a, b) => b.worst > a.worst ? b : a);
      return {
        worst,
        detail: `${name}[${index}] is ${values.actual}, expected ${values.expected}`,
      };
    });
  }),
}));

const CB_CHECKS = PART_CASES.map((each, seed): KernelCheck => ({
  kernel: "ssd_cb_fwd",
  name: each.name,
  ...checkKernel(["ssdCBFwd", "ssdScratch"], (run) => {
    const { chunk, seqlen, sizes: { d_state, ngroups } } = each;
    const { shape, chunks } = layoutOf(each);
    const data = ssdData(each, seed);
    const CB = run.output(run.ops.ssdScratch(shape).CB);
    run.ops.ssdCBFwd(run.program, { xBC: run.input(data.xBC), CB }, shape);
    run.expectThat("CB", CB, (words) => {
      // What lies above the diagonal, or past the last step, is not looked at.
      const found = new Float32Array(words.buffer, 0, words.length);
      const expected = Float64Array.from(found, (value, i) => {
        const [t, s] = [Math.floor(i / chunk) % chunk, i % chunk];
        const block = Math.floor(i / chunk / chunk);
        const [bc, g] = [Math.floor(block / ngroups), block % ngroups];
        const first = bc % chunks * chunk;
        if (s > t || first + t >= seqlen) return value;
        const row = Math.floor(bc / chunks) * seqlen + first;
        let sum = 0;
        for (let n = 0; n < d_state; n++) {
          const at = (step: number) => ((row + step) * ngroups + g) * d_state + n;
          sum += (data.C[at(t)] ?? NaN) * (data.B[at(s)] ?? NaN);
        }
        return sum;
      });
      const { worst, index, ...values } = measureCloseness(found, expected, ELEMENTWISE);
      return { worst, detail: `CB[${index}] is ${values.actual}, expected ${values.expected}` };
    });
  }),
}));

const STATES_CHECKS = PART_CASES.flatMap((each, seed) =>
  [false, true].map((backward): KernelCheck => ({
    kernel: "ssd_states",
    name: `${each.name}${backward ? ", backward" : ""}`,
    ...checkKernel(["ssdStates"], (run) => {
      const { batch, seqlen, chunk, sizes: { nheads, headdim, d_state, ngroups } } = each;
      const { shape, chunks, lastStep, place } = layoutOf(each);
      const data = ssdData(each, seed);
      const decays = decaysOf(data, each);
      const xBC = run.input(data.xBC);
      // Any values will do for grad_y.
      const tensors = { x: backward ? run.input(data.x) : xBC, xBC };
      const length = batch * chunks * nheads * headdim * d_state;
      const states = run.output(length);
      const packed = run.input(packedDecays(decays));
      const keep = false;
      run.ops.ssdStates(run.program, { ...tensors, decays: packed, states }, {
        ...shape,
        keep,
        backward,
      });
      const expected = Float64Array.from({ length }, (_, i) => {
        const [n, p] = [i % d_state, Math.floor(i / d_state) % headdim];
        const h = Math.floor(i / d_state / headdim) % nheads;
        const bc = Math.floor(i / d_state / headdim / nheads);
        const [b, c, g] = [Math.floor(bc / chunks), bc % chunks, Math.floor(h * ngroups / nheads)];
        let sum = 0;
        for (let t = c * chunk; t <= lastStep(c); t++) {
          const row = b * seqlen + t;
          const own = decays.sum[place(b, h, t)] ?? NaN;
          const factor = backward
            ? Math.exp(own)
            : Math.exp((decays.sum[place(b, h, lastStep(c))] ?? NaN) - own) *
              (decays.dt[place(b, h, t)] ?? NaN);
          const BC = (backward ? data.C : data.B)[(row * ngroups + g) * d_state + n] ?? NaN;
          sum += factor * (data.x[(row * nheads + h) * headdim + p] ?? NaN) * BC;
        }
        return sum;
      });
      run.expect("states", states, expected, SSD);
    }),
  }))
);

const PASS_CHECKS = PART_CASES.flatMap((each, seed) =>
  [
    { keep: false, reverse: false, fromZero: false },
    { keep: true, reverse: false, fromZero: false },
    { keep: false, reverse: true, fromZero: false },
    { keep: false, reverse: true, fromZero: true },
  ].map((way): KernelCheck => ({
    kernel: "ssd_pass",
    name: `${each.name}${way.keep ? ", kept" : ""}${way.reverse ? ", reverse" : ""}` +
      `${way.fromZero ? ", from zeros" : ""}`,
    ...checkKernel(["ssdPass"], (run) => {
      const { batch, sizes: { nheads, headdim, d_state } } = each;
      const { shape, chunks, lastStep, place } = layoutOf(each);
      const random = new Random(seed);
      const decays = decaysOf(ssdData(each, seed), each);
      const [perHead, slots] = [headdim * d_state, way.keep ? chunks + 1 : chunks];
      const size = nheads * perHead;
      const before = {
        states: random.normal(batch * slots * size),
        final: random.normal(batch * size),
      };
      const [states, ssm_state] = [run.state(before.states), run.state(before.final)];
      const packed = run.input(packedDecays(decays));
      run.ops.ssdPass(run.program, { decays: packed, states, ssm_state }, { ...shape, ...way });
      const after = {
        states: Float64Array.from(before.states),
        final: Float64Array.from(before.final),
      };
      for (let i = 0; i < batch * size; i++) {
        const [b, e] = [Math.floor(i / size), i % size];
        const at = (slot: number) => (b * slots + slot) * size + e;
        let carry = way.fromZero ? 0 : before.final[i] ?? NaN;
        if (way.keep) carry = before.states[at(0)] ?? NaN;
        for (let k = 0; k < chunks; k++) {
          const c = way.reverse ? chunks - 1 - k : k;
          const slot = way.keep ? c + 1 : c;
          const total = decays.sum[place(b, Math.floor(e / perHead), lastStep(c))] ?? NaN;
          const next = Math.exp(total) * carry + (before.states[at(slot)] ?? NaN);
          after.states[at(slot)] = way.keep ? next : carry;
          carry = next;
        }
        if (!way.keep) after.final[i] = carry;
      }
      run.expect("states", states, after.states, SSD);
      run.expect("ssm_state", ssm_state, after.final, SSD);
    }),
  }))
);

/** Checks of the kernels that the chunked form of Mamba-2's recurrence begins with, each by itself. */
export const SSD_PARTS_CHECKS: readonly KernelCheck[] = [
  ...DECAYS_CHECKS,
  ...CB_CHECKS,
  ...STATES_CHECKS,
  ...PASS_CHECKS,
];
