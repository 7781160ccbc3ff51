/** The backward half of a Mamba-1 block: gradients of its parameters, and of the residual stream before it. */

import type { Program } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { conv1dBwd } from "../ops/conv1d_bwd.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "../ops/linear_bwd.ts";
import { rmsNormFwd } from "../ops/rms_norm.ts";
import { rmsNormBwd } from "../ops/rms_norm_bwd.ts";
import { selectiveScanBwd } from "../ops/selective_scan_bwd.ts";
import type { Activations, LayerActivations } from "./activations.ts";
import type { ModelConfig } from "./config.ts";
import type { Mamba1Weights } from "./mamba1.ts";

/** A layer's parameters, or their gradients. */
export interface LayerParameters {
  readonly norm: Tensor;
  readonly mixer: Mamba1Weights;
}

/**
 * Records the backward half of one block, op by op in reverse.
 *
 * activations.grad.residual holds the gradient of the block's output, and then that of its input. Gradients of the parameters
 * are written. The layer's dt and the shared grad.y are overwritten by gradients on the way.
 *
 * @param tensors `input` is the residual stream before the block; `gradOutput` the gradient of what the mixer added to it,
 * which is read before anything is written.
 */
export function mamba1Bwd(
  program: Program,
  config: ModelConfig,
  tensors: {
    readonly weights: LayerParameters;
    readonly gradients: LayerParameters;
    readonly activations: Activations;
    readonly layer: LayerActivations;
    readonly input: Tensor;
    readonly gradOutput: Tensor;
  },
  label: string,
): void {
  const { d_model, d_inner, d_state, d_conv, dt_rank, norm_epsilon } = config;
  const { activations, layer, input, gradOutput } = tensors;
  const { mixer } = tensors.weights;
  const gradients = tensors.gradients.mixer;
  const { grad, normed, chunk } = activations;
  const { batch, seqlen } = activations.shape;
  const { xz, u, x_dbl, dt, y } = layer.scratch;
  const partials = activations.partials.weights;
  const rows = batch * seqlen;
  const ldXDbl = dt_rank + 2 * d_state;
  const name = (op: string): string => `${label}.mixer.${op}_bwd`;

  matmulBwdW(program, { grad_y: gradOutput, x: y, grad_weight: gradients.out_proj, partials }, {
    rows,
    label: name("out_proj"),
  });
  if (gradients.out_proj_bias !== undefined) {
    const bias = { x: gradOutput, partials, y: gradients.out_proj_bias };
    columnSum(program, bias, { rows, columns: d_model, label: name("out_proj") });
  }
  matmulBwdX(program, { grad_y: gradOutput, weight: mixer.out_proj, grad_x: grad.y }, {
    rows,
    label: name("out_proj"),
  });

  selectiveScanBwd(
    program,
    {
      u,
      dt,
      x_dbl,
      xz,
      A_log: mixer.A_log,
      D: mixer.D,
      ssm_state: layer.ssm_states,
      grad_y: grad.y,
      grad_xz: grad.xz,
      grad_x_dbl: grad.x_dbl,
      grad_A_log: gradients.A_log,
      grad_D: gradients.D,
      grad_state: grad.ssm_state,
      partials_BC: activations.partials.BC,
      partials_params: activations.partials.scan,
    },
    { batch, seqlen, d_inner, d_state, dt_rank, chunk, gradFinal: false, label: name("scan") },
  );
  const grad_u = grad.y;
  const grad_dt = dt;

  matmulBwdW(program, { grad_y: grad_dt, x: x_dbl, grad_weight: gradients.dt_proj, partials }, {
    rows,
    ldX: ldXDbl,
    label: name("dt_proj"),
  });
  columnSum(program, { x: grad_dt, partials, y: gradients.dt_proj_bias }, {
    rows,
    columns: d_inner,
    label: name("dt_proj"),
  });
  matmulBwdX(program, { grad_y: grad_dt, weight: mixer.dt_proj, grad_x: grad.x_dbl }, {
    rows,
    ldX: ldXDbl,
    label: name("dt_proj"),
  });

  matmulBwdW(program, { grad_y: grad.x_dbl, x: u, grad_weight: gradients.x_proj, partials }, {
    rows,
    label: name("x_proj"),
  });
  matmulBwdX(program, { grad_y: grad.x_dbl, weight: mixer.x_proj, grad_x: grad_u }, {
    rows,
    accumulate: true,
    label: name("x_proj"),
  });

  conv1dBwd(
    program,
    {
      x: xz,
      weight: mixer.conv1d,
      bias: mixer.conv1d_bias,
      conv_state: layer.conv_initial,
      grad_y: grad_u,
      grad_x: grad.xz,
      grad_conv_state: grad.conv_state,
      grad_weight: gradients.conv1d,
      grad_bias: gradients.conv1d_bias,
      partials,
    },
    {
      batch,
      seqlen,
      d_inner,
      d_conv,
      ldX: 2 * d_inner,
      ldGradX: 2 * d_inner,
      label: name("conv1d"),
    },
  );

  // The norm's output was not kept: it takes as long to read as to compute.
  rmsNormFwd(program, { x: input, weight: tensors.weights.norm, y: normed }, {
    rows,
    d_model,
    eps: norm_epsilon,
    label: `${label}.norm`,
  });
  matmulBwdW(program, { grad_y: grad.xz, x: normed, grad_weight: gradients.in_proj, partials }, {
    rows,
    label: name("in_proj"),
  });
  if (gradients.in_proj_bias !== undefined) {
    const bias = { x: grad.xz, partials, y: gradients.in_proj_bias };
    columnSum(program, bias, { rows, columns: 2 * d_inner, label: name("in_proj") });
  }
  matmulBwdX(program, { grad_y: grad.xz, weight: mixer.in_proj, grad_x: grad.normed }, {
    rows,
    label: name("in_proj"),
  });
  rmsNormBwd(
    program,
    {
      x: input,
      weight: tensors.weights.norm,
      grad_y: grad.normed,
      grad_x: grad.residual,
      partials,
      grad_weight: tensors.gradients.norm,
    },
    { rows, d_model, eps: norm_epsilon, accumulateX: true, label: `${label}.norm_bwd` },
  );
}
