/** A kernel around the prelude's softplus(), which all others have only within. */

import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { MATH_PRELUDE } from "../ops/define_kernel.ts";

/** Lanes of a workgroup. */
const LANES = 64;

const SOURCE = `
override SIZE: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${LANES})
fn softplus_probe(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < SIZE) {
    y[id.x] = softplus(x[id.x]);
  }
}
`;

/** A kernel over `fn softplus(v: f32) -> f32` of a prelude. */
function softplusProbe(prelude: string): Kernel<"x" | "y", never, "SIZE"> {
  return defineKernel({
    name: "softplus_probe",
    preludes: { _math: prelude },
    source: SOURCE,
    bindings: { x: "read", y: "write" },
    params: {},
    overrides: ["SIZE"],
    sizes: ({ SIZE }) => ({ x: SIZE, y: SIZE }),
  });
}

type SoftplusOp = (
  program: Program,
  tensors: { readonly x: Tensor; readonly y: Tensor },
  shape: { readonly size: number; readonly label: string },
) => void;

/** The op y = softplus(x), elementwise, by the function of a prelude. */
export function softplusOf(prelude: string): SoftplusOp {
  const kernel = softplusProbe(prelude);
  return (program, tensors, { size, label }) =>
    program.add(kernel, {
      tensors,
      overrides: { SIZE: size },
      params: {},
      workgroups: [Math.ceil(size / LANES), 1, 1],
      label,
    });
}

/** y (size) = softplus(x). */
export const softplus: SoftplusOp = softplusOf(MATH_PRELUDE);
