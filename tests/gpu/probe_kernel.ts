import { defineKernel, type Kernel } from "../../src/gpu/kernel.ts";

/** y[i] = x[i] * params.factor + OFFSET, for i below params.count: a kernel with one of everything. */
export const scaleKernel: Kernel<"x" | "y", "factor" | "count", "OFFSET"> = defineKernel({
  name: "scale",
  preludes: {},
  source: `
override OFFSET: f32;
struct Params { factor: f32, count: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn scale(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.count) { y[id.x] = x[id.x] * params.factor + OFFSET; }
}
`,
  bindings: { x: "read", y: "write" },
  params: { factor: "f32", count: "u32" },
  overrides: ["OFFSET"],
  sizes: ({ count }) => ({ x: count, y: count }),
});
