import { gatedRmsNormFwd } from "../../src/cpu/ops/gated_rms_norm.ts";
import { Random } from "../../src/checks/random.ts";
import { gatedRmsNormFwd as reference } from "../../src/checks/reference/gated_rms_norm.ts";
import { spreadRows } from "../../src/checks/ops/spread_rows.ts";
import { checkOp, type CpuCheck, type CpuRun, ELEMENTWISE } from "./cpu_check.ts";

interface GatedRmsNormCase {
  readonly rows: number;
  readonly d_inner: number;
  readonly group_size: number;
  readonly norm_before_gate: boolean;
  /** Whether there is a norm at all; default true. */
  readonly norm?: boolean;
  /** How z lies in rows of another's columns; default: d_inner and 0. */
  readonly ldZ?: number;
  readonly zOffset?: number;
  /** How large y is: at 1e-3 eps decides the result. */
  readonly scale?: number;
}

const CASES: readonly GatedRmsNormCase[] = [false, true].flatMap((norm_before_gate) => [
  { rows: 2, d_inner: 1536, group_size: 1536, norm_before_gate },
  // Around the 16 elements that are summed up side by side.
  ...[1, 15, 16, 17, 127, 129, 257].map((group_size) => ({
    rows: 3,
    d_inner: 2 * group_size,
    group_size,
    norm_before_gate,
  })),
  { rows: 35, d_inner: 96, group_size: 12, norm_before_gate },
  { rows: 5, d_inner: 52, group_size: 26, norm_before_gate, ldZ: 131, zOffset: 3 },
  { rows: 5, d_inner: 65, group_size: 65, norm_before_gate, scale: 1e-3 },
  { rows: 5, d_inner: 65, group_size: 65, norm_before_gate, scale: 0 },
  { rows: 19, d_inner: 70, group_size: 70, norm_before_gate, norm: false, ldZ: 80, zOffset: 1 },
]);

const EPS = 1e-5;

function nameOf(each: GatedRmsNormCase): string {
  return Object.entries(each).map(([name, value]) => `${name} ${value}`).join(", ");
}

function data(each: GatedRmsNormCase, seed: number) {
  const { rows, d_inner, ldZ = d_inner, zOffset = 0, scale = 1, norm = true } = each;
  const random = new Random(seed);
  const y = random.normal(rows * d_inner, scale);
  const z = random.normal(rows * d_inner);
  return {
    y,
    z,
    weight: norm ? random.normWeight(d_inner) : undefined,
    shape: { ...each, eps: EPS, label: "check" },
    // What lies between the rows is NaN, so that a read beside a row shows.
    spreadZ: spreadRows(z, d_inner, ldZ, NaN, zOffset),
  };
}

function recordForward(run: CpuRun, each: GatedRmsNormCase, seed: number): void {
  const { y, z, weight, shape, spreadZ } = data(each, seed);
  const out = run.output(y.length);
  gatedRmsNormFwd(
    run.program,
    { y: run.input(y), z: run.input(spreadZ), weight: weight && run.input(weight), out },
    shape,
  );
  run.expect("out", out, reference(y, z, weight, shape), ELEMENTWISE);
}

/** Checks of gatedRmsNormFwd(). */
export const GATED_RMS_NORM_CHECKS: readonly CpuCheck[] = CASES.map((each, seed) => ({
  op: "gatedRmsNormFwd",
  name: nameOf(each),
  run: checkOp((run) => recordForward(run, each, seed)),
}));
