import { gatedRmsNormFwd } from "../../src/cpu/ops/gated_rms_norm.ts";
import { selectiveScanFwd } from "../../src/cpu/ops/selective_scan.ts";
import { silu, softplus } from "../../src/checks/reference/activations.ts";
import { checkOp, type CpuCheck } from "./cpu_check.ts";

/** Purely relative but for numbers that are not normal in f32: dt is small where its relative error counts. */
const LIMITS = { rtol: 5e-7, atol: 1.2e-38 };

const COUNT = 6001;

function range(first: number, last: number): Float32Array {
  return Float32Array.from(
    { length: COUNT },
    (_, i) => first + (last - first) * i / (COUNT - 1),
  );
}

/** dt is what a state of zeros becomes where B and u are 1. */
function softplusCheck(first: number, last: number): CpuCheck {
  return {
    op: "softplus",
    name: `from ${first} to ${last}`,
    run: checkOp((run) => {
      const x = range(first, last);
      const ones = run.input(new Float32Array(COUNT).fill(1));
      const ssm_state = run.state(new Float32Array(COUNT));
      const y = run.output(COUNT);
      selectiveScanFwd(run.program, {
        u: ones,
        dt: run.input(x),
        x_dbl: run.input(Float32Array.of(0, 1, 1)),
        xz: run.input(new Float32Array(2 * COUNT)),
        A_log: ones,
        D: ones,
        ssm_state,
        y,
      }, { batch: 1, seqlen: 1, d_inner: COUNT, d_state: 1, dt_rank: 1, label: "check" });
      run.expect("softplus", ssm_state, Float64Array.from(x, softplus), LIMITS);
      run.expectThat("y", y, () => ({ worst: 0, detail: "what the state gives" }));
    }),
  };
}

function siluCheck(first: number, last: number): CpuCheck {
  return {
    op: "silu",
    name: `from ${first} to ${last}`,
    run: checkOp((run) => {
      const z = range(first, last);
      const out = run.output(COUNT);
      const y = run.input(new Float32Array(COUNT).fill(1));
      const shape = { rows: 1, d_inner: COUNT, group_size: COUNT, eps: 0, norm_before_gate: false };
      gatedRmsNormFwd(run.program, { y, z: run.input(z), out }, { ...shape, label: "check" });
      run.expect("silu", out, Float64Array.from(z, silu), { ...LIMITS, atol: 1e-35 });
    }),
  };
}

/** Checks of the functions that ops share. */
export const MATH_CHECKS: readonly CpuCheck[] = [
  softplusCheck(-20, 20),
  softplusCheck(-87, -20),
  softplusCheck(-200, -86),
  softplusCheck(20, 3e4),
  siluCheck(-20, 20),
  siluCheck(-87, -20),
  siluCheck(-1e4, -86),
  siluCheck(20, 1e30),
];
