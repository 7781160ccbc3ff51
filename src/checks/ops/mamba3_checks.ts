import type { OpaqueTensor } from "../checked_ops.ts";
import {
  checkKernel,
  ELEMENTWISE,
  floatsOf,
  type KernelCheck,
  type KernelRun,
  type Limits,
  type Measurement,
} from "../kernel_check.ts";
import { Random } from "../random.ts";
import { silu } from "../reference/activations.ts";
import { mamba3GateFwd, mamba3ScanFwd } from "../reference/mamba3.ts";
import { swigluFwd } from "../reference/swiglu.ts";
import {
  MAMBA3_CASES,
  MAMBA3_STEP_CASES,
  type Mamba3Case,
  mamba3Data,
  mamba3Steps,
  oracleShape,
  packedRates,
  packedVkq,
} from "./mamba3_data.ts";
import { SSD } from "./ssd_checks.ts";

/** Angles are sums over time, and turn what they are the angles of. */
export const ANGLES: Limits = { rtol: 1e-5, atol: 1e-5 };

function recordInputs(
  run: KernelRun<"mamba3Inputs">,
  each: Mamba3Case,
  seed: number,
): void {
  const data = mamba3Data(each, seed);
  const { steps } = mamba3Steps(data, each);
  const { theta: initial, ...weights } = data.weights;
  const theta = run.state(initial);
  const rates = run.output(4 * steps.dt.length);
  const thetas = run.output(steps.thetas.length);
  const vkq = run.output(steps.v.length + 2 * steps.k.length);
  run.ops.mamba3Inputs(run.program, {
    zxBCdt: run.input(data.zxBCdt),
    dt_bias: run.input(weights.dt_bias),
    B_norm: run.input(weights.B_norm),
    C_norm: run.input(weights.C_norm),
    B_bias: run.input(weights.B_bias),
    C_bias: run.input(weights.C_bias),
    mimo_x: data.mimo_x && run.input(data.mimo_x),
    ...{ theta, rates, thetas, vkq },
  }, { ...oracleShape(each), label: "check" });
  run.expect("rates", rates, packedRates(steps), ELEMENTWISE);
  expectAngles(run, "thetas", thetas, steps.thetas);
  expectAngles(run, "theta", theta, lastAngles(steps.thetas, each));
  run.expect("vkq", vkq, packedVkq(steps, each), ANGLES);
}

/** The angles of each sequence's last step. */
function lastAngles(thetas: Float64Array, { batch, seqlen }: Mamba3Case): Float64Array {
  const size = thetas.length / batch / seqlen;
  return Float64Array.from({ length: batch * size }, (_, i) => {
    const row = Math.floor(i / size) * seqlen + seqlen - 1;
    return thetas[row * size + i % size] ?? NaN;
  });
}

/** Says what angles the program leaves, each in [-pi, pi], but for whole turns of the oracle's. */
export function expectAngles(
  run: Pick<KernelRun, "expectThat">,
  name: string,
  tensor: OpaqueTensor,
  expected: Float64Array,
): void {
  run.expectThat(name, tensor, (words): Measurement => {
    const found = floatsOf(words);
    let [worst, detail] = [0, `${name} is as expected`];
    for (const [i, angle] of expected.entries()) {
      const turns = ((found[i] ?? NaN) - angle) / (2 * Math.PI);
      const error = 2 * Math.PI * Math.abs(turns - Math.round(turns)) / ANGLES.atol;
      const isReduced = Math.abs(found[i] ?? NaN) < Math.PI + ANGLES.atol;
      const own = isReduced && !Number.isNaN(error) ? error : Infinity;
      if (own > worst) [worst, detail] = [own, `${name}[${i}] is ${found[i]}, expected ${angle}`];
    }
    return { worst, detail };
  });
}

function recordScan(
  run: KernelRun<"mamba3Scan" | "mamba3ScanScratch">,
  each: Mamba3Case,
  seed: number,
): void {
  const { batch, seqlen, sizes } = each;
  const data = mamba3Data(each, seed);
  const { steps, carried } = mamba3Steps(data, each);
  const expected = mamba3ScanFwd(steps, data.D, carried, oracleShape(each));
  const scratch = run.ops.mamba3ScanScratch(sizes, { rows: batch * seqlen, batch });
  const ssm_state = run.state(data.ssm_state);
  const k = run.state(data.k);
  const v = run.state(data.v);
  const y = run.output(steps.v.length);
  run.ops.mamba3Scan(run.program, {
    vkq: run.input(packedVkq(steps, each)),
    rates: run.input(packedRates(steps)),
    zxBCdt: run.input(data.zxBCdt),
    mimo_x: data.mimo_x && run.input(data.mimo_x),
    D: run.input(data.D),
    ...{ ssm_state, k, v, y },
    states: run.scratch("states", scratch.states),
    decays: run.scratch("decays", scratch.decays),
    CB: run.scratch("CB", scratch.CB),
  }, { ...sizes, batch, seqlen, label: "check" });
  const last = (values: ArrayLike<number>) => lastSteps(values, each);
  run.expect("y", y, expected.y, SSD);
  run.expect("ssm_state", ssm_state, expected.ssm_state, SSD);
  run.expect("k", k, last(steps.k), ELEMENTWISE);
  run.expect("v", v, last(data.x), ELEMENTWISE);
}

/** Of (batch, seqlen, ...), the last step. */
function lastSteps(values: ArrayLike<number>, { batch, seqlen }: Mamba3Case): Float64Array {
  const size = values.length / batch / seqlen;
  return Float64Array.from(
    { length: batch * size },
    (_, i) => values[(Math.floor(i / size) * seqlen + seqlen - 1) * size + i % size] ?? NaN,
  );
}

/** One step by itself, and with its gate. */
function recordStep(
  run: KernelRun<"mamba3Step">,
  each: Mamba3Case,
  seed: number,
): void {
  const { batch, sizes } = each;
  const data = mamba3Data(each, seed);
  const { steps, carried } = mamba3Steps(data, each);
  const expected = mamba3ScanFwd(steps, data.D, carried, oracleShape(each));
  const gated = !sizes.is_mimo && seed % 2 === 0;
  const { theta: initial, ...weights } = data.weights;
  const [theta, ssm_state] = [run.state(initial), run.state(data.ssm_state)];
  const [k, v] = [run.state(data.k), run.state(data.v)];
  const y = run.output(steps.v.length);
  run.ops.mamba3Step(run.program, {
    zxBCdt: run.input(data.zxBCdt),
    dt_bias: run.input(weights.dt_bias),
    B_norm: run.input(weights.B_norm),
    C_norm: run.input(weights.C_norm),
    B_bias: run.input(weights.B_bias),
    C_bias: run.input(weights.C_bias),
    D: run.input(data.D),
    mimo_x: data.mimo_x && run.input(data.mimo_x),
    kq: run.scratch("kq", batch * sizes.nheads * (4 + 2 * sizes.mimo_rank * sizes.d_state)),
    ...{ theta, ssm_state, k, v, y },
  }, { ...oracleShape(each), gated, label: "check" });
  expectAngles(run, "theta", theta, steps.thetas);
  run.expect("ssm_state", ssm_state, expected.ssm_state, SSD);
  run.expect("k", k, steps.k, ANGLES);
  run.expect(
    "v",
    v,
    Float64Array.from({ length: data.v.length }, (_, i) => data.x[i] ?? NaN),
    ELEMENTWISE,
  );
  run.expect(
    "y",
    y,
    expected.y.map((value, i) => gated ? value * silu(data.z[i] ?? NaN) : value),
    SSD,
  );
}

function recordGate(
  run: KernelRun<"mamba3GateFwd">,
  each: Mamba3Case,
  seed: number,
  hasNorm: boolean,
): void {
  const data = mamba3Data(each, seed);
  const { random, z, mimo_z, mimo_o } = data;
  const y = random.normal(z.length * each.sizes.mimo_rank);
  const weight = hasNorm ? random.normWeight(each.sizes.nheads * each.sizes.headdim) : undefined;
  const out = run.output(z.length);
  run.ops.mamba3GateFwd(run.program, {
    y: run.input(y),
    zxBCdt: run.input(data.zxBCdt),
    mimo_z: mimo_z && run.input(mimo_z),
    mimo_o: mimo_o && run.input(mimo_o),
    weight: weight && run.input(weight),
    out,
  }, { ...oracleShape(each), label: "check" });
  const expected = mamba3GateFwd({ y, z, mimo_z, mimo_o, norm: weight }, oracleShape(each));
  run.expect("out", out, expected, ELEMENTWISE);
}

const SWIGLU_CASES = [[1, 1], [1, 1536], [3, 127], [17, 64], [5, 65]] as const;

/** Checks of what Mamba-3 is made of, forward. */
export const MAMBA3_CHECKS: readonly KernelCheck[] = [
  // Each is one op with several kernels, of which a case names one.
  ...MAMBA3_CASES.flatMap((each, seed) => [
    {
      kernel: ["mamba3_rates", "mamba3_angles", "mamba3_vkq"][seed % 3] ?? "",
      name: each.name,
      ...checkKernel(["mamba3Inputs"], (run) => recordInputs(run, each, seed)),
    },
    {
      kernel: ["mamba3_decays", "mamba3_carry", "mamba3_skip"][seed % 3] ?? "",
      name: each.name,
      ...checkKernel(["mamba3Scan", "mamba3ScanScratch"], (run) => recordScan(run, each, seed)),
    },
  ]),
  ...MAMBA3_STEP_CASES.map((each, seed) => ({
    kernel: each.sizes.is_mimo
      ? "mamba3_mimo_step"
      : ["mamba3_turn", "mamba3_step"][seed % 2] ?? "",
    name: each.name,
    ...checkKernel(["mamba3Step"], (run) => recordStep(run, each, seed)),
  })),
  ...[false, true].flatMap((hasNorm) =>
    MAMBA3_CASES.map((each, seed) => ({
      kernel: "mamba3_gate_fwd",
      name: `${each.name}, ${hasNorm ? "with" : "without"} a norm`,
      ...checkKernel(["mamba3GateFwd"], (run) => recordGate(run, each, seed, hasNorm)),
    }))
  ),
  ...SWIGLU_CASES.map(([rows, width], seed) => ({
    kernel: "swiglu_fwd",
    name: `rows ${rows}, width ${width}`,
    ...checkKernel(["swigluFwd"], (run) => {
      const x = new Random(seed).normal(2 * rows * width, 2);
      const y = run.output(rows * width);
      run.ops.swigluFwd(run.program, { x: run.input(x), y }, { rows, width, label: "check" });
      run.expect("y", y, swigluFwd(x, { rows, width }), ELEMENTWISE);
    }),
  })),
];
