import { checkKernel, type KernelCheck } from "../../src/checks/kernel_check.ts";
import { silu, softplus } from "../../src/checks/reference/activations.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

/** Purely relative but for numbers that are not normal in f32: dt is small where its relative error counts. */
const LIMITS = { rtol: 5e-7, atol: 1.2e-38 };

const COUNT = 6001;

function range(first: number, last: number): Float32Array {
  return Float32Array.from(
    { length: COUNT },
    (_, i) => first + (last - first) * i / (COUNT - 1),
  );
}

/** Held closer than the shared check, whose limits are those of a GPU. */
function softplusCheck(first: number, last: number): KernelCheck {
  return {
    kernel: "softplus",
    name: `from ${first} to ${last}`,
    ...checkKernel(["softplus"], (run) => {
      const x = range(first, last);
      const y = run.output(COUNT);
      run.ops.softplus(run.program, { x: run.input(x), y }, { size: COUNT, label: "check" });
      run.expect("softplus", y, Float64Array.from(x, softplus), LIMITS);
    }),
  };
}

function siluCheck(first: number, last: number): KernelCheck {
  return {
    kernel: "silu",
    name: `from ${first} to ${last}`,
    ...checkKernel(["gatedRmsNormFwd"], (run) => {
      const z = range(first, last);
      const out = run.output(COUNT);
      const y = run.input(new Float32Array(COUNT).fill(1));
      const shape = { rows: 1, d_inner: COUNT, group_size: COUNT, eps: 0, norm_before_gate: false };
      run.ops.gatedRmsNormFwd(run.program, { y, z: run.input(z), out }, {
        ...shape,
        label: "check",
      });
      run.expect("silu", out, Float64Array.from(z, silu), { ...LIMITS, atol: 1e-35 });
    }),
  };
}

testCpuChecks([
  softplusCheck(-20, 20),
  softplusCheck(-87, -20),
  softplusCheck(-200, -86),
  softplusCheck(20, 3e4),
  siluCheck(-20, 20),
  siluCheck(-87, -20),
  siluCheck(-1e4, -86),
  siluCheck(20, 1e30),
]);
