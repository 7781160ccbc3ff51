import { defineKernel } from "../../gpu/kernel.ts";
import mathPrelude from "../../../kernels/_math.wgsl" with { type: "text" };
import { softplus } from "../reference/activations.ts";
import { checkKernel, type KernelCheck, type Limits } from "../kernel_check.ts";

/** Twice what the prelude promises. A purely relative bound: dt is small where its relative error counts. */
const SOFTPLUS: Limits = { rtol: 4e-6, atol: 1e-38 };

/** Far below, exp() alone may be 3 + 2 |v| units in the last place off, by the standard. */
const FAR_SOFTPLUS: Limits = { rtol: (3 + 2 * 80) * 2 ** -23, atol: 1e-38 };

/** A check of a WGSL function `softplus` over [first, first + 40]. */
export function softplusCheck(
  name: string,
  prelude: string,
  { first = -20, limits = SOFTPLUS } = {},
): KernelCheck {
  const kernel = defineKernel({
    name: "softplus_probe",
    preludes: { _math: prelude },
    source: `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn softplus_probe(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < COUNT) {
    y[id.x] = softplus(x[id.x]);
  }
}
override COUNT: u32;
`,
    bindings: { x: "read", y: "write" },
    params: {},
    overrides: ["COUNT"],
  });
  return {
    kernel: "_math",
    name,
    run: checkKernel((run) => {
      const count = 3001;
      const x = Float32Array.from({ length: count }, (_, i) => first + i / 75);
      const y = run.output(count);
      run.program.add(kernel, {
        tensors: { x: run.input(x), y },
        overrides: { COUNT: count },
        params: {},
        workgroups: [Math.ceil(count / 64), 1, 1],
        label: "check",
      });
      run.expect("softplus", y, Float64Array.from(x, softplus), limits);
    }),
  };
}

/** Checks of the prelude. */
export const SOFTPLUS_CHECKS: readonly KernelCheck[] = [
  softplusCheck("softplus from -20 to 20", mathPrelude),
  softplusCheck("softplus from -80 to -40", mathPrelude, { first: -80, limits: FAR_SOFTPLUS }),
];
