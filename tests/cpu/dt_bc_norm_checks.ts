import { dtBCNormFwd } from "../../src/cpu/ops/dt_bc_norm.ts";
import { Random } from "../../src/checks/random.ts";
import { dtBCNormFwd as reference } from "../../src/checks/reference/dt_bc_norm.ts";
import { checkOp, type CpuCheck, ELEMENTWISE } from "./cpu_check.ts";

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
  // Around the 16 elements that are summed up side by side, and an eps as large as the squares.
  ...[1, 3, 15, 16, 17, 64, 130].map((d_state) => ({ rows: 2, dt_rank: 3, d_state, eps: 0.5 })),
  { rows: 70, dt_rank: 1, d_state: 1, eps: 1e-6 },
];

/** Checks of dtBCNormFwd(). */
export const DT_BC_NORM_CHECKS: readonly CpuCheck[] = CASES.map((each, seed) => ({
  op: "dtBCNormFwd",
  name: Object.entries(each).map(([key, value]) => `${key} ${value}`).join(", "),
  run: checkOp((run) => {
    const given = new Random(seed).normal(each.rows * (each.dt_rank + 2 * each.d_state));
    const x_dbl = run.state(given);
    dtBCNormFwd(run.program, { x_dbl }, { ...each, label: "check" });
    run.expect("x_dbl", x_dbl, reference(given, each).x_dbl, ELEMENTWISE);
  }),
}));
