import { Random } from "../random.ts";
import { dtBCNormFwd as reference } from "../reference/dt_bc_norm.ts";
import { dtBCNormBwd as backward } from "../reference/dt_bc_norm_bwd.ts";
import { checkKernel, ELEMENTWISE, type KernelCheck } from "../kernel_check.ts";

interface DtBCNormCase {
  readonly rows: number;
  readonly dt_rank: number;
  readonly d_state: number;
  readonly eps: number;
}

const CASES: readonly DtBCNormCase[] = [
  // FalconMamba-7B's sizes.
  { rows: 3, dt_rank: 256, d_state: 16, eps: 1e-6 },
  { rows: 2, dt_rank: 5, d_state: 12, eps: 1e-6 },
  // Around the 64 lanes of a part and the 16 elements that a CPU sums up side by side, and an eps as large as the squares.
  ...[1, 3, 15, 16, 17, 63, 64, 65, 130].map((d_state) => ({
    rows: 2,
    dt_rank: 3,
    d_state,
    eps: 0.5,
  })),
  { rows: 70, dt_rank: 1, d_state: 1, eps: 1e-6 },
];

/** Checks of dt_bc_norm_fwd and dt_bc_norm_bwd. */
export const DT_BC_NORM_CHECKS: readonly KernelCheck[] = CASES.flatMap((each, seed) => {
  const name = Object.entries(each).map(([key, value]) => `${key} ${value}`).join(", ");
  const width = each.dt_rank + 2 * each.d_state;
  const data = () => {
    const random = new Random(seed);
    return { x_dbl: random.normal(each.rows * width), grad: random.normal(each.rows * width) };
  };
  return [
    {
      kernel: "dt_bc_norm_fwd",
      name,
      ...checkKernel(["dtBCNormFwd"], (run) => {
        const given = data().x_dbl;
        const [x_dbl, rstd] = [run.state(given), run.scratch("rstd", 3 * each.rows)];
        run.ops.dtBCNormFwd(run.program, { x_dbl, rstd }, { ...each, label: "check" });
        run.expect("x_dbl", x_dbl, reference(given, each).x_dbl, ELEMENTWISE);
      }),
    },
    {
      kernel: "dt_bc_norm_fwd",
      name: `what the backward needs, ${name}`,
      // An executor that does not train keeps no rstd.
      ...checkKernel(["dtBCNormFwd", "dtBCNormBwd"], (run) => {
        const given = data().x_dbl;
        const [x_dbl, rstd] = [run.state(given), run.output(3 * each.rows)];
        run.ops.dtBCNormFwd(run.program, { x_dbl, rstd }, { ...each, label: "check" });
        run.expectAnything("x_dbl", x_dbl);
        run.expect("rstd", rstd, reference(given, each).rstd, ELEMENTWISE);
      }),
    },
    {
      kernel: "dt_bc_norm_bwd",
      name,
      ...checkKernel(["dtBCNormBwd"], (run) => {
        const { x_dbl, grad } = data();
        const forward = reference(x_dbl, each);
        const grad_x_dbl = run.state(grad);
        const tensors = {
          x_dbl: run.input(Float32Array.from(forward.x_dbl)),
          rstd: run.input(Float32Array.from(forward.rstd)),
          grad_x_dbl,
        };
        run.ops.dtBCNormBwd(run.program, tensors, { ...each, label: "check" });
        // Five times the forward's limits, at the size that 1 / |x| gives where a part is one element.
        const size = Math.max(...forward.rstd);
        run.expect("grad_x_dbl", grad_x_dbl, backward(x_dbl, grad, each).grad_x_dbl, {
          rtol: 5e-5,
          atol: 5e-6 * size,
        });
      }),
    },
  ];
});
