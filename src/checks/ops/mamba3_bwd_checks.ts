import { checkKernel, type KernelCheck, type KernelRun, type Limits } from "../kernel_check.ts";
import { gatePartials } from "../../model/mamba3_partials.ts";
import { mamba3Widths } from "../../model/mamba3_sizes.ts";
import { Random } from "../random.ts";
import { mamba3ScanFwd } from "../reference/mamba3.ts";
import {
  mamba3GateBwd,
  mamba3InputsBwd,
  mamba3ScanBwd,
  swigluBwd,
} from "../reference/mamba3_bwd.ts";
import {
  MAMBA3_CASES,
  type Mamba3Case,
  mamba3Data,
  mamba3Steps,
  oracleShape,
  packedRates,
  packedVkq,
} from "./mamba3_data.ts";
import { SSD } from "./ssd_checks.ts";
import { sideBySide } from "./ssd_data.ts";

/** Five times the forward's. */
const BWD: Limits = { rtol: 5e-4, atol: 5e-4 };

/** For sums over steps, ranks and heads: as much as there are of them larger. */
function summed({ batch, seqlen, sizes }: Mamba3Case): Limits {
  return { rtol: 5e-4, atol: 5e-5 * Math.sqrt(batch * seqlen * sizes.mimo_rank * sizes.nheads) };
}

const SCAN_OPS = [
  "mamba3Scan",
  "mamba3ScanScratch",
  "mamba3ScanBwd",
  "mamba3ScanBwdScratch",
] as const;

function recordScan(
  run: KernelRun<(typeof SCAN_OPS)[number]>,
  each: Mamba3Case,
  seed: number,
): void {
  const { batch, seqlen, sizes } = each;
  const data = mamba3Data(each, seed);
  const { steps, carried } = mamba3Steps(data, each);
  const shape = oracleShape(each);
  const gradY = data.random.normal(steps.v.length);
  const expected = mamba3ScanBwd(steps, data.D, carried, gradY, shape);
  const size = { rows: batch * seqlen, batch, keepsStates: true };
  const scratch = run.ops.mamba3ScanScratch(sizes, size);
  const own = { ...sizes, batch, seqlen, label: "check" };
  const sized = run.ops.mamba3ScanBwdScratch(own);
  const tensors = {
    vkq: run.input(packedVkq(steps, each)),
    rates: run.input(packedRates(steps)),
    mimo_x: data.mimo_x && run.input(data.mimo_x),
    D: run.input(data.D),
    states: run.scratch("states", scratch.states),
    decays: run.scratch("decays", scratch.decays),
    CB: run.scratch("CB", scratch.CB),
  };
  const [ssm_state, k, v] = [run.state(data.ssm_state), run.state(data.k), run.state(data.v)];
  const y = run.output(steps.v.length);
  run.ops.mamba3Scan(
    run.program,
    { ...tensors, zxBCdt: run.input(data.zxBCdt), ssm_state, k, v, y },
    { ...own, keep: true },
  );
  const forward = mamba3ScanFwd(steps, data.D, carried, shape);
  run.expect("y", y, forward.y, SSD);
  run.expect("ssm_state", ssm_state, forward.ssm_state, SSD);
  for (const [name, tensor] of Object.entries({ k, v })) run.expectAnything(name, tensor);

  const grad_vkq = run.output(steps.v.length + 2 * steps.k.length);
  const grad_rates = run.output(4 * steps.dt.length);
  const grad_D = run.output(data.D.length);
  const grad_mimo_x = data.mimo_x && run.output(data.mimo_x.length);
  const grad_state = run.output(data.ssm_state.length);
  run.ops.mamba3ScanBwd(run.program, {
    ...tensors,
    ...{ k: run.input(data.k), v: run.input(data.v), grad_y: run.input(gradY) },
    ...{ grad_vkq, grad_rates, grad_D, grad_mimo_x, grad_state },
    grad_CB: run.scratch("grad_CB", sized.grad_CB),
    grad_states: run.scratch("grad_states", sized.grad_states),
    sums: run.scratch("sums", sized.sums),
    skips: run.scratch("skips", sized.skips),
    partials: run.scratch("partials", sized.partials),
  }, own);
  run.expectAnything("grad_state", grad_state);
  const { dtA, gamma, delta } = expected;
  const rows = batch * seqlen * sizes.mimo_rank;
  run.expect("grad_vkq", grad_vkq, sideBySide(rows, [expected.v, expected.k, expected.q]), BWD);
  const all = sideBySide(dtA.length, [new Float64Array(dtA.length), dtA, gamma, delta]);
  run.expect("grad_rates", grad_rates, all, wider(each));
  run.expect("grad_D", grad_D, expected.D, summed(each));
  if (grad_mimo_x === undefined) return;
  const carriedX = carriedMimoX(expected.carried_v, data.v, each);
  run.expect("grad_mimo_x", grad_mimo_x, carriedX, BWD);
}

/** The gradient of mimo_x (nheads, mimo_rank, headdim) by v of the step before the first, which is x there times mimo_x. */
function carriedMimoX(
  grad: Float64Array,
  x: ArrayLike<number>,
  { sizes: { nheads, headdim, mimo_rank } }: Mamba3Case,
): Float64Array {
  const sums = new Float64Array(nheads * mimo_rank * headdim);
  for (const [i, value] of grad.entries()) {
    const [p, h] = [i % headdim, Math.floor(i / headdim) % nheads];
    const r = Math.floor(i / headdim / nheads) % mimo_rank;
    const b = Math.floor(i / headdim / nheads / mimo_rank);
    const place = (h * mimo_rank + r) * headdim + p;
    sums[place] = (sums[place] ?? NaN) + value * (x[(b * nheads + h) * headdim + p] ?? NaN);
  }
  return sums;
}

/** For sums over a whole head's states: as much as there are of them larger. */
function wider({ sizes }: Mamba3Case): Limits {
  return { rtol: 5e-4, atol: 2e-4 * Math.sqrt(sizes.headdim * sizes.mimo_rank) };
}

const SCAN_KERNELS = ["mamba3_skip_bwd", "mamba3_decays_bwd", "mamba3_carry_bwd"] as const;

const INPUTS_KERNELS = [
  ...["mamba3_vkq_bwd", "mamba3_norm_bwd", "mamba3_angles_bwd", "mamba3_rates_bwd"],
  ...["mamba3_bias_bwd"],
] as const;

function recordInputs(
  run: KernelRun<"mamba3InputsBwd" | "columnSumScratch">,
  each: Mamba3Case,
  seed: number,
): void {
  const { batch, seqlen, sizes } = each;
  const { nheads, d_state, mimo_rank, num_rope_angles } = sizes;
  const rows = batch * seqlen;
  const data = mamba3Data(each, seed);
  const { steps } = mamba3Steps(data, each);
  const like = (values: Float64Array) => Float64Array.from(data.random.normal(values.length));
  const grads = {
    ...{ dtA: like(steps.dtA), gamma: like(steps.gamma), delta: like(steps.delta) },
    ...{ v: like(steps.v), k: like(steps.k), q: like(steps.q) },
  };
  const expected = mamba3InputsBwd(data, steps, grads, oracleShape(each));
  const none = new Float64Array(steps.dt.length);
  const gradRates = sideBySide(none.length, [none, grads.dtA, grads.gamma, grads.delta]);
  const gradVkq = sideBySide(rows * mimo_rank, [grads.v, grads.k, grads.q]);
  const widths = mamba3Widths(sizes);
  const filler = data.random.normal(data.zxBCdt.length);
  const grad_vkq = run.state(gradVkq);
  run.expectAnything("grad_vkq", grad_vkq);
  const found = {
    grad_dt_bias: run.output(nheads),
    grad_B_norm: run.output(d_state),
    grad_C_norm: run.output(d_state),
    grad_B_bias: run.output(nheads * mimo_rank * d_state),
    grad_C_bias: run.output(nheads * mimo_rank * d_state),
    grad_mimo_x: data.mimo_x && run.state(data.mimo_x),
  };
  const grad_zxBCdt = run.state(filler);
  const partials = Math.max(
    ...[nheads, d_state, mimo_rank * widths.d_vkq].map((width) =>
      run.ops.columnSumScratch(rows, width)
    ),
  );
  run.ops.mamba3InputsBwd(run.program, {
    zxBCdt: run.input(data.zxBCdt),
    dt_bias: run.input(data.weights.dt_bias),
    B_norm: run.input(data.weights.B_norm),
    C_norm: run.input(data.weights.C_norm),
    mimo_x: data.mimo_x && run.input(data.mimo_x),
    rates: run.input(packedRates(steps)),
    // As the forward leaves them.
    thetas: run.input(
      Float32Array.from(steps.thetas, (v) => v - 2 * Math.PI * Math.round(v / 2 / Math.PI)),
    ),
    vkq: run.input(packedVkq(steps, each)),
    grad_rates: run.input(gradRates),
    ...{ grad_vkq, grad_zxBCdt, ...found },
    grad_thetas: run.scratch("grad_thetas", rows * nheads * num_rope_angles),
    norm_rows: run.scratch("norm_rows", rows * d_state),
    dt_rows: run.scratch("dt_rows", rows * nheads),
    vkq_sums: run.scratch("vkq_sums", mimo_rank * widths.d_vkq),
    partials: run.scratch("partials", partials),
  }, { ...oracleShape(each), label: "check" });
  const z = Float64Array.from(
    { length: rows * widths.d_inner },
    (_, i) => filler[Math.floor(i / widths.d_inner) * widths.d_in_proj + i % widths.d_inner] ?? NaN,
  );
  const { x, B, C, dd_dt, dd_A, trap, angles } = expected;
  const all = sideBySide(rows, [z, x, B, C, dd_dt, dd_A, trap, angles]);
  run.expect("grad_zxBCdt", grad_zxBCdt, all, summed(each));
  run.expect("grad_dt_bias", found.grad_dt_bias, expected.dt_bias, summed(each));
  run.expect("grad_B_norm", found.grad_B_norm, expected.B_norm, summed(each));
  run.expect("grad_C_norm", found.grad_C_norm, expected.C_norm, summed(each));
  run.expect("grad_B_bias", found.grad_B_bias, expected.B_bias, summed(each));
  run.expect("grad_C_bias", found.grad_C_bias, expected.C_bias, summed(each));
  if (found.grad_mimo_x === undefined || expected.mimo_x === undefined) return;
  // It is added to; before were just some values.
  const total = expected.mimo_x.map((value, i) => value + (data.mimo_x?.[i] ?? NaN));
  run.expect("grad_mimo_x", found.grad_mimo_x, total, summed(each));
}

function recordGate(
  run: KernelRun<"mamba3GateBwd">,
  each: Mamba3Case,
  seed: number,
  hasNorm: boolean,
): void {
  const { batch, seqlen, sizes } = each;
  const data = mamba3Data(each, seed);
  const { random, z, mimo_z, mimo_o } = data;
  const { d_inner, d_in_proj } = mamba3Widths(sizes);
  const y = random.normal(z.length * sizes.mimo_rank);
  const norm = hasNorm ? random.normWeight(d_inner) : undefined;
  const gradOut = random.normal(z.length);
  const expected = mamba3GateBwd({ y, z, mimo_z, mimo_o, norm }, gradOut, oracleShape(each));
  const filler = random.normal(data.zxBCdt.length);
  const grad_zxBCdt = run.state(filler);
  const grad_y = run.state(y);
  const grad_mimo_z = mimo_z && run.output(mimo_z.length);
  const grad_mimo_o = mimo_o && run.output(mimo_o.length);
  const grad_weight = norm && run.output(norm.length);
  run.ops.mamba3GateBwd(run.program, {
    y: grad_y,
    zxBCdt: run.input(data.zxBCdt),
    mimo_z: mimo_z && run.input(mimo_z),
    mimo_o: mimo_o && run.input(mimo_o),
    weight: norm && run.input(norm),
    grad_out: run.input(gradOut),
    grad_zxBCdt,
    partials: run.scratch("partials", gatePartials({ ...sizes, batch, seqlen }).end),
    ...{ grad_mimo_z, grad_mimo_o, grad_weight },
  }, { ...oracleShape(each), label: "check" });
  run.expect("grad_y", grad_y, expected.y, BWD);
  const all = Float64Array.from(filler, (value, i) => {
    const column = i % d_in_proj;
    return column < d_inner
      ? expected.z[Math.floor(i / d_in_proj) * d_inner + column] ?? NaN
      : value;
  });
  run.expect("grad_zxBCdt", grad_zxBCdt, all, BWD);
  if (grad_mimo_z && expected.mimo_z) run.expect("grad_mimo_z", grad_mimo_z, expected.mimo_z, BWD);
  if (grad_mimo_o && expected.mimo_o) run.expect("grad_mimo_o", grad_mimo_o, expected.mimo_o, BWD);
  if (grad_weight && expected.norm) run.expect("grad_weight", grad_weight, expected.norm, BWD);
}

/** Checks of the gradients of what Mamba-3 is made of. */
export const MAMBA3_BWD_CHECKS: readonly KernelCheck[] = [
  // Each is one op with all of these kernels, of which a case names one.
  ...MAMBA3_CASES.map((each, seed) => ({
    kernel: each.sizes.is_mimo && seed % 2 === 0
      ? "mamba3_mimo_x_bwd"
      : SCAN_KERNELS[seed % SCAN_KERNELS.length] ?? "",
    name: each.name,
    ...checkKernel(SCAN_OPS, (run) => recordScan(run, each, seed)),
  })),
  ...MAMBA3_CASES.map((each, seed) => ({
    kernel: INPUTS_KERNELS[seed % INPUTS_KERNELS.length] ?? "",
    name: each.name,
    ...checkKernel(
      ["mamba3InputsBwd", "columnSumScratch"],
      (run) => recordInputs(run, each, seed),
    ),
  })),
  ...[false, true].flatMap((hasNorm) =>
    MAMBA3_CASES.map((each, seed) => ({
      kernel: "mamba3_gate_bwd",
      name: `${each.name}, ${hasNorm ? "with" : "without"} a norm`,
      ...checkKernel(["mamba3GateBwd"], (run) => recordGate(run, each, seed, hasNorm)),
    }))
  ),
  ...([[1, 1], [3, 127], [17, 64], [5, 65]] as const).map(([rows, width], seed) => ({
    kernel: "swiglu_bwd",
    name: `rows ${rows}, width ${width}`,
    ...checkKernel(["swigluBwd"], (run) => {
      const random = new Random(seed);
      const [x, gradY] = [random.normal(2 * rows * width, 2), random.normal(rows * width)];
      const grad_x = run.output(2 * rows * width);
      const tensors = { x: run.input(x), grad_y: run.input(gradY), grad_x };
      run.ops.swigluBwd(run.program, tensors, { rows, width, label: "check" });
      const limits = { rtol: 5e-5, atol: 5e-6 };
      run.expect("grad_x", grad_x, swigluBwd(x, gradY, { rows, width }), limits);
    }),
  })),
];
