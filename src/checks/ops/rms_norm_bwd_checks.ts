import { SEQUENCE_CASES } from "../cases.ts";
import { Random } from "../random.ts";
import { rmsNormBwd as reference } from "../reference/rms_norm_bwd.ts";
import { checkKernel, type KernelCheck } from "../kernel_check.ts";

interface RmsNormBwdCase {
  readonly name: string;
  readonly rows: number;
  readonly d_model: number;
  readonly ldX?: number;
  readonly xOffset?: number;
  /** How large x is: at 1e-3 eps decides the result. */
  readonly scale?: number;
  /** Adds to both gradients. */
  readonly accumulate?: boolean;
}

const CASES: readonly RmsNormBwdCase[] = [
  ...SEQUENCE_CASES.map(({ name, shape, batch, seqlen }) => ({
    name,
    rows: batch * seqlen,
    d_model: shape.d_model,
  })),
  // Around the 128 lanes of a row of columns, and the 16 of a row's sums.
  ...[15, 16, 17, 127, 128, 129, 257].map((d_model) => ({
    name: `d_model ${d_model}`,
    rows: 3,
    d_model,
  })),
  // From 1024 tiles of 16 rows on, a workgroup has several tiles.
  ...[16384, 16385, 20000].map((rows) => ({ name: `${rows} rows`, rows, d_model: 5 })),
  { name: "adds to the residual's gradient", rows: 35, d_model: 52, accumulate: true },
  { name: "adds, several tiles a workgroup", rows: 16400, d_model: 3, accumulate: true },
  {
    name: "the last step of each of 3 sequences of 5",
    rows: 3,
    d_model: 52,
    ldX: 260,
    xOffset: 208,
  },
  { name: "rows that start anywhere", rows: 40, d_model: 7, ldX: 11, xOffset: 3 },
  { name: "inputs as small as eps", rows: 2, d_model: 65, scale: 1e-3 },
  { name: "zeros", rows: 2, d_model: 65, scale: 0 },
];

/** Checks of rms_norm_bwd. */
export const RMS_NORM_BWD_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "rms_norm_bwd",
  name: each.name,
  ...checkKernel(["rmsNormBwd", "rmsNormBwdParts"], (run) => {
    const { rows, d_model, ldX = d_model, xOffset = 0, scale = 1, accumulate = false } = each;
    const eps = 1e-5;
    const random = new Random(seed);
    const x = random.normal(rows * d_model, scale);
    const weight = random.normWeight(d_model);
    const gradY = random.normal(rows * d_model);
    // What lies between the rows is NaN, so that a read beside a row shows.
    const strided = new Float32Array(xOffset + (rows - 1) * ldX + d_model).fill(NaN);
    for (let row = 0; row < rows; row++) {
      strided.set(x.subarray(row * d_model, (row + 1) * d_model), xOffset + row * ldX);
    }
    const before = {
      x: random.normal(rows * d_model, accumulate ? 1 : 0),
      weight: random.normal(d_model, accumulate ? 1 : 0),
    };
    const grad_x = accumulate ? run.state(before.x) : run.output(rows * d_model);
    const grad_weight = accumulate ? run.state(before.weight) : run.output(d_model);
    const partials = run.scratch("partials", run.ops.rmsNormBwdParts(rows) * d_model);
    run.ops.rmsNormBwd(
      run.program,
      {
        x: run.input(strided),
        weight: run.input(weight),
        grad_y: run.input(gradY),
        grad_x,
        partials,
        grad_weight,
      },
      {
        rows,
        d_model,
        eps,
        ldX,
        xOffset,
        accumulateX: accumulate,
        accumulateWeight: accumulate,
        label: "check",
      },
    );
    const expected = reference(x, weight, gradY, { rows, d_model, eps });
    // Five times the forward's limits; as large as rstd, by which gradients are multiplied.
    const size = scale === 1 ? 1 : 1 / Math.sqrt(eps);
    const limits = { rtol: 5e-5, atol: 5e-6 * size };
    run.expect("grad_x", grad_x, expected.grad_x.map((v, i) => v + (before.x[i] ?? NaN)), limits);
    run.expect(
      "grad_weight",
      grad_weight,
      expected.grad_weight.map((v, i) => v + (before.weight[i] ?? NaN)),
      { rtol: 5e-5, atol: 5e-6 * Math.sqrt(rows) },
    );
  }),
}));
