import { rmsNormFwd } from "../../src/cpu/ops/rms_norm.ts";
import { SEQUENCE_CASES } from "../../src/checks/cases.ts";
import { Random } from "../../src/checks/random.ts";
import { rmsNormFwd as reference } from "../../src/checks/reference/rms_norm.ts";
import { checkOp, type CpuCheck, ELEMENTWISE } from "./cpu_check.ts";

interface RmsNormCase {
  readonly name: string;
  readonly rows: number;
  readonly d_model: number;
  readonly ldX?: number;
  readonly xOffset?: number;
  /** How large x is: at 1e-3 eps decides the result. */
  readonly scale?: number;
}

const CASES: readonly RmsNormCase[] = [
  ...SEQUENCE_CASES.map(({ name, shape, batch, seqlen }) => ({
    name,
    rows: batch * seqlen,
    d_model: shape.d_model,
  })),
  // Around a vector, and the four that are summed up side by side.
  ...[1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 128, 513].flatMap((d_model) =>
    [1, 5].map((rows) => ({ name: `d_model ${d_model}, rows ${rows}`, rows, d_model }))
  ),
  {
    name: "the last step of each of 3 sequences of 5",
    rows: 3,
    d_model: 52,
    ldX: 260,
    xOffset: 208,
  },
  { name: "rows that start anywhere", rows: 4, d_model: 7, ldX: 11, xOffset: 3 },
  { name: "inputs as small as eps", rows: 2, d_model: 65, scale: 1e-3 },
  { name: "zeros", rows: 2, d_model: 65, scale: 0 },
];

/** Checks of rmsNormFwd(). */
export const RMS_NORM_CHECKS: readonly CpuCheck[] = CASES.map((each, seed) => ({
  op: "rmsNormFwd",
  name: each.name,
  run: checkOp((run) => {
    const { rows, d_model, ldX = d_model, xOffset = 0, scale = 1 } = each;
    const eps = 1e-5;
    const random = new Random(seed);
    const x = random.normal(rows * d_model, scale);
    const weight = random.normWeight(d_model);
    // What lies between the rows is NaN, so that a read beside a row shows.
    const strided = new Float32Array(xOffset + (rows - 1) * ldX + d_model).fill(NaN);
    for (let row = 0; row < rows; row++) {
      strided.set(x.subarray(row * d_model, (row + 1) * d_model), xOffset + row * ldX);
    }
    const y = run.output(rows * d_model);
    rmsNormFwd(run.program, { x: run.input(strided), weight: run.input(weight), y }, {
      rows,
      d_model,
      eps,
      ldX,
      xOffset,
      label: "check",
    });
    run.expect("y", y, reference(x, weight, { rows, d_model, eps }), ELEMENTWISE);
  }),
}));
