/** The moving average on WebGPU. */

import { defineKernel } from "../../../src/gpu/kernel.ts";
import type { WebGpuKinds } from "../../../src/webgpu/op_set.ts";
import type { EmaOps } from "./ema_part.ts";

const WORKGROUP_SIZE = 64;

const emaFwdKernel = defineKernel({
  name: "ema_fwd",
  preludes: {},
  source: `
// ema_fwd: h[t] = a h[t-1] + (1 - a) x[t] with a = 1 / (1 + exp(-decay)), and y[t] += h[t]. One lane per channel.
override D_MODEL: u32;
override ACCUMULATE: bool;
struct Params { seqlen: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;             // (batch, seqlen, D_MODEL)
@group(0) @binding(1) var<storage, read> decay: array<f32>;         // (D_MODEL)
@group(0) @binding(2) var<storage, read_write> average: array<f32>; // (batch, D_MODEL)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;       // as x
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(${WORKGROUP_SIZE})
fn ema_fwd(@builtin(global_invocation_id) id: vec3<u32>) {
  let c = id.x;
  if (c >= D_MODEL) { return; }
  let a = 1.0 / (1.0 + exp(-decay[c]));
  var h = average[id.y * D_MODEL + c];
  for (var t = 0u; t < params.seqlen; t++) {
    let i = (id.y * params.seqlen + t) * D_MODEL + c;
    h = a * h + (1.0 - a) * x[i];
    y[i] = h + select(0.0, y[i], ACCUMULATE);
  }
  average[id.y * D_MODEL + c] = h;
}
`,
  bindings: { x: "read", decay: "read", average: "read_write", y: "read_write" },
  params: { seqlen: "u32" },
  overrides: ["D_MODEL", "ACCUMULATE"],
  sizes: ({ D_MODEL, seqlen }, [, batch]) => ({
    x: batch * seqlen * D_MODEL,
    decay: D_MODEL,
    average: batch * D_MODEL,
    y: batch * seqlen * D_MODEL,
  }),
});

/** The op of {@linkcode EmaOps}. */
export const emaFwd: EmaOps<WebGpuKinds>["emaFwd"] = (program, tensors, shape) => {
  const { batch, seqlen, d_model, accumulate, label } = shape;
  program.add(emaFwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model, ACCUMULATE: accumulate },
    params: { seqlen },
    workgroups: [Math.ceil(d_model / WORKGROUP_SIZE), batch, 1],
    label,
  });
};
