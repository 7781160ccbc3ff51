/** The backward half of a Mamba-1 block: gradients of its parameters, and of the residual stream before it. */

import type { Mamba1Config } from "../../model/mixers/mamba1.ts";
import { conv1dBwd, conv1dBwdScratch } from "../ops/training/conv1d_bwd.ts";
import { dtBCNormBwd } from "../ops/dt_bc_norm.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "../ops/training/linear_bwd.ts";
import { SCAN_CHUNK } from "../ops/selective_scan.ts";
import { scanBwdScratch, selectiveScanBwd } from "../ops/training/selective_scan_bwd.ts";
import type { CpuProgram } from "../program.ts";
import type { Mamba1Activation, Mamba1State, Mamba1Weights } from "./mamba1.ts";
import type { CpuPartTraining, HalfBwdTensors } from "./part.ts";
import { inProjBwd, outProjBwd } from "./projection_bwd.ts";

type Mamba1Gradient =
  /** Of the gated output; the scan's backward turns it into that of its input. */
  | "y"
  | "x_dbl"
  | "xz"
  | "partials_BC"
  | "partials_scan";

/** How it is trained. */
export const mamba1Training: CpuPartTraining<
  Mamba1Config,
  Mamba1Weights,
  Mamba1State,
  Mamba1Activation,
  Mamba1Gradient
> = {
  chunk: SCAN_CHUNK,
  keeps: { conv_state: "ends", ssm_state: "borders" },

  gradientSizes({ d_inner, d_state, dt_rank }, shape) {
    const rows = shape.batch * shape.seqlen;
    const { partials_BC, partials_params } = scanBwdScratch({ ...shape, d_inner, d_state });
    return {
      y: rows * d_inner,
      x_dbl: rows * (dt_rank + 2 * d_state),
      xz: rows * 2 * d_inner,
      partials_BC,
      partials_scan: partials_params,
    };
  },

  partialElements: ({ d_inner, d_conv }, shape) => conv1dBwdScratch({ ...shape, d_inner, d_conv }),

  /**
   * Op by op in reverse. training.grad.residual holds the gradient of the block's output, and then that of its input. The
   * layer's dt and the shared grad are overwritten by gradients on the way.
   */
  backward: recordBackward,
};

function recordBackward(
  program: CpuProgram,
  config: Mamba1Config,
  tensors: HalfBwdTensors<Mamba1Weights, Mamba1State, Mamba1Activation, Mamba1Gradient>,
  label: string,
): void {
  const { d_inner, d_state, d_conv, dt_rank, mixer_rms_eps } = config;
  const { training, initial, state, gradState, input, normed, gradOutput, grad } = tensors;
  const { part: mixer } = tensors.weights;
  const { part: gradients } = tensors.gradients;
  const { batch, seqlen } = training.shape;
  const { xz, u, x_dbl, x_dbl_rstd, dt, y } = tensors.activations;
  const { partials } = training;
  const rows = batch * seqlen;
  const ldX = dt_rank + 2 * d_state;
  const name = (op: string): string => `${label}.mixer.${op}_bwd`;

  outProjBwd(
    program,
    {
      x: y,
      grad_y: gradOutput,
      grad_x: grad.y,
      weight: mixer.out_proj,
      gradients: { weight: gradients.out_proj, bias: gradients.out_proj_bias },
    },
    { rows, label: name("out_proj") },
  );

  selectiveScanBwd(
    program,
    {
      ...{ u, dt, x_dbl, xz },
      A_log: mixer.A_log,
      D: mixer.D,
      ssm_state: state.ssm_state,
      grad_y: grad.y,
      grad_xz: grad.xz,
      grad_x_dbl: grad.x_dbl,
      grad_A_log: gradients.A_log,
      grad_D: gradients.D,
      grad_state: gradState.ssm_state,
      partials_BC: grad.partials_BC,
      partials_params: grad.partials_scan,
    },
    { batch, seqlen, d_inner, d_state, dt_rank, gradFinal: false, label: name("scan") },
  );
  const grad_u = grad.y;
  const grad_dt = dt;

  const dtProj = { rows, ldX, label: name("dt_proj") };
  matmulBwdW(program, { grad_y: grad_dt, x: x_dbl, grad_weight: gradients.dt_proj }, dtProj);
  columnSum(program, { x: grad_dt, y: gradients.dt_proj_bias }, {
    ...{ rows, columns: d_inner, label: name("dt_proj") },
  });
  matmulBwdX(program, { grad_y: grad_dt, weight: mixer.dt_proj, grad_x: grad.x_dbl }, dtProj);

  if (mixer_rms_eps !== undefined) {
    const norms = { x_dbl, rstd: x_dbl_rstd, grad_x_dbl: grad.x_dbl };
    dtBCNormBwd(program, norms, { rows, dt_rank, d_state, label: name("dt_bc_norm") });
  }
  const xProj = { rows, label: name("x_proj") };
  matmulBwdW(program, { grad_y: grad.x_dbl, x: u, grad_weight: gradients.x_proj }, xProj);
  matmulBwdX(program, { grad_y: grad.x_dbl, weight: mixer.x_proj, grad_x: grad_u }, {
    ...xProj,
    accumulate: true,
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
      grad_conv_state: gradState.conv_state,
      grad_weight: gradients.conv1d,
      grad_bias: gradients.conv1d_bias,
      partials,
    },
    {
      ...{ batch, seqlen, d_inner, d_conv },
      ...{ ldX: 2 * d_inner, ldGradX: 2 * d_inner, label: name("conv1d") },
    },
  );

  inProjBwd(
    program,
    config,
    training,
    {
      ...{ input, normed, grad_y: grad.xz },
      norm: tensors.weights.norm,
      grad_norm: tensors.gradients.norm,
      weight: mixer.in_proj,
      gradients: { weight: gradients.in_proj, bias: gradients.in_proj_bias },
    },
    label,
  );
}
