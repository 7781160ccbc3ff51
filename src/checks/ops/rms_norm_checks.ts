import { SEQUENCE_CASES } from "../cases.ts";
import { Random } from "../random.ts";
import { rmsNormFwd as reference } from "../reference/rms_norm.ts";
import { checkKernel, ELEMENTWISE, type KernelCheck } from "../kernel_check.ts";

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
  // Around the 32 lanes of a short row, its 512 elements, and the 128 lanes of a long or single one; around a CPU's
  // vector, and the four that it sums up side by side.
  ...[1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 127, 128, 129, 257, 512, 513].flatMap((d_model) =>
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

/** Checks of rms_norm_fwd. */
export const RMS_NORM_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "rms_norm_fwd",
  name: each.name,
  ...checkKernel(["rmsNormFwd"], (run) => {
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
    run.ops.rmsNormFwd(run.program, { x: run.input(strided), weight: run.input(weight), y }, {
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
