/** The backward half of a Mamba-1 block: gradients of its parameters, and of the residual stream before it. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { sizeTogether, viewsOf } from "../../gpu/span.ts";
import { conv1dBwd, conv1dBwdScratch } from "../../ops/training/conv1d_bwd.ts";
import { dtBCNormBwd } from "../../ops/dt_bc_norm.ts";
import {
  columnSum,
  columnSumScratch,
  matmulBwdW,
  matmulBwdX,
} from "../../ops/training/linear_bwd.ts";
import { scanBwdScratch, selectiveScanBwd } from "../../ops/training/selective_scan_bwd.ts";
import { SCAN_CHUNK } from "../../ops/scan_lanes.ts";
import type { Mamba1Config } from "../../model/mixers/mamba1.ts";
import type { BatchShape } from "../../model/training_executor.ts";
import type { Mamba1Activations, Mamba1State, Mamba1Weights } from "./mamba1.ts";
import type { HalfBwdTensors, PartTraining } from "./part.ts";
import { inProjBwd, outProjBwd } from "./projection_bwd.ts";

/** Gradients of activations inside a block, shared by all layers, and partial sums on their way to them. */
export interface Mamba1Gradients {
  /** Of the gated output; the scan's backward turns it into that of its input. */
  readonly y: Tensor;
  readonly x_dbl: Tensor;
  readonly xz: Tensor;
  /** Of the states that the sequences began with, which nothing reads. */
  readonly conv_state: Tensor;
  readonly ssm_state: Tensor;
  readonly partials_BC: Tensor;
  readonly partials_scan: Tensor;
}

function mamba1Gradients(
  config: Mamba1Config,
  shape: BatchShape,
  make: (name: string, size: number) => Tensor,
): Mamba1Gradients {
  const { d_inner, d_state, d_conv, dt_rank } = config;
  const { batch, seqlen } = shape;
  const rows = batch * seqlen;
  const scan = scanBwdScratch({ ...shape, d_inner, d_state });
  const sizes = {
    y: rows * d_inner,
    ssm_state: batch * d_inner * d_state,
    partials_scan: scan.partials_params,
  };
  return {
    ...viewsOf(make("grad_y", sizeTogether(sizes)), sizes),
    x_dbl: make("grad_x_dbl", rows * (dt_rank + 2 * d_state)),
    xz: make("grad_xz", rows * 2 * d_inner),
    conv_state: make("grad_conv_state", batch * d_inner * d_conv),
    partials_BC: make("partials_BC", scan.partials_BC),
  };
}

function mamba1PartialElements(config: Mamba1Config, shape: BatchShape): number {
  const { d_inner, d_conv } = config;
  return Math.max(
    conv1dBwdScratch({ ...shape, d_inner, d_conv }),
    columnSumScratch(shape.batch * shape.seqlen, 2 * d_inner),
  );
}

/**
 * Records the backward half of one block, op by op in reverse.
 *
 * training.grad.residual holds the gradient of the block's output, and then that of its input. Gradients of the parameters
 * are written. The layer's dt and the shared grad are overwritten by gradients on the way.
 *
 * @param tensors `input` is the residual stream before the block; `gradOutput` the gradient of what the mixer added to it,
 * which is read before anything is written.
 */
function mamba1Bwd(
  program: Program,
  config: Mamba1Config,
  tensors: HalfBwdTensors<Mamba1Weights, Mamba1Activations, Mamba1Gradients, Mamba1State>,
  label: string,
): void {
  const { d_inner, d_state, d_conv, dt_rank, mixer_rms_eps } = config;
  const { training, initial, state, input, gradOutput, grad } = tensors;
  const { part: mixer } = tensors.weights;
  const { part: gradients } = tensors.gradients;
  const { batch, seqlen } = training.shape;
  const { xz, u, x_dbl, x_dbl_rstd, dt, y } = tensors.activations;
  const { partials } = training;
  const rows = batch * seqlen;
  const ldXDbl = dt_rank + 2 * d_state;
  const name = (op: string): string => `${label}.mixer.${op}_bwd`;

  outProjBwd(
    program,
    training,
    {
      x: y,
      grad_y: gradOutput,
      grad_x: grad.y,
      weight: mixer.out_proj,
      gradients: { weight: gradients.out_proj, bias: gradients.out_proj_bias },
    },
    name("out_proj"),
  );

  selectiveScanBwd(
    program,
    {
      u,
      dt,
      x_dbl,
      xz,
      A_log: mixer.A_log,
      D: mixer.D,
      ssm_state: state.ssm_state,
      grad_y: grad.y,
      grad_xz: grad.xz,
      grad_x_dbl: grad.x_dbl,
      grad_A_log: gradients.A_log,
      grad_D: gradients.D,
      grad_state: grad.ssm_state,
      partials_BC: grad.partials_BC,
      partials_params: grad.partials_scan,
    },
    { batch, seqlen, d_inner, d_state, dt_rank, gradFinal: false, label: name("scan") },
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

  if (mixer_rms_eps !== undefined) {
    const norms = { x_dbl, rstd: x_dbl_rstd, grad_x_dbl: grad.x_dbl };
    dtBCNormBwd(program, norms, { rows, dt_rank, d_state, label: name("dt_bc_norm") });
  }
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
      conv_state: initial.conv_state,
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

  inProjBwd(
    program,
    config,
    training,
    {
      input,
      grad_y: grad.xz,
      norm: tensors.weights.norm,
      grad_norm: tensors.gradients.norm,
      weight: mixer.in_proj,
      gradients: { weight: gradients.in_proj, bias: gradients.in_proj_bias },
    },
    label,
  );
}

/** How it is trained. */
export const mamba1Training: PartTraining<
  Mamba1Config,
  Mamba1Weights,
  Mamba1Activations,
  Mamba1Gradients,
  Mamba1State
> = {
  chunk: SCAN_CHUNK,
  keeps: { conv_state: "ends", ssm_state: "borders" },
  recomputed: new Set(),
  gradients: mamba1Gradients,
  partialElements: mamba1PartialElements,
  backward: mamba1Bwd,
};
