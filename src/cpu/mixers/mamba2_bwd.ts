/** The backward half of a Mamba-2 block: gradients of its parameters, and of the residual stream before it. */

import type { Mamba2Config } from "../../model/mixers/mamba2.ts";
import { ssdWidths } from "../../model/ssd_sizes.ts";
import { conv1dBwd, conv1dBwdScratch } from "../ops/training/conv1d_bwd.ts";
import { gatedRmsNormBwd, gatedRmsNormBwdParts } from "../ops/training/gated_rms_norm_bwd.ts";
import { SSD_CHUNK } from "../ops/ssd.ts";
import { ssdBwd, ssdBwdScratch } from "../ops/training/ssd_bwd.ts";
import type { CpuProgram } from "../program.ts";
import type { Mamba2Activation, Mamba2State, Mamba2Weights } from "./mamba2.ts";
import type { CpuPartTraining, HalfBwdTensors } from "./part.ts";
import { inProjBwd, outProjBwd } from "./projection_bwd.ts";

type Mamba2Gradient =
  /** Of the gated output, and then of the recurrence's. */
  | "y"
  | "xBC"
  | "zxbcdt"
  | "sums"
  | "partials_ssd";

/** How it is trained. */
export const mamba2Training: CpuPartTraining<
  Mamba2Config,
  Mamba2Weights,
  Mamba2State,
  Mamba2Activation,
  Mamba2Gradient
> = {
  chunk: SSD_CHUNK,
  keeps: { conv_state: "ends", ssm_state: "borders" },

  gradientSizes(config, shape) {
    const rows = shape.batch * shape.seqlen;
    const { d_inner, conv_dim, d_in_proj } = ssdWidths(config);
    const { sums, partials } = ssdBwdScratch({ ...config, ...shape, chunk: SSD_CHUNK });
    return {
      y: rows * d_inner,
      xBC: rows * conv_dim,
      zxbcdt: rows * d_in_proj,
      sums,
      partials_ssd: partials,
    };
  },

  partialElements(config, shape) {
    const { d_inner, conv_dim } = ssdWidths(config);
    return Math.max(
      conv1dBwdScratch({ ...shape, d_inner: conv_dim, d_conv: config.d_conv }),
      gatedRmsNormBwdParts(shape.batch * shape.seqlen) * d_inner,
    );
  },

  /**
   * Op by op in reverse. training.grad.residual holds the gradient of the block's output, and then that of its input. The
   * shared grad is overwritten by gradients on the way.
   */
  backward: recordBackward,
};

function recordBackward(
  program: CpuProgram,
  config: Mamba2Config,
  tensors: HalfBwdTensors<Mamba2Weights, Mamba2State, Mamba2Activation, Mamba2Gradient>,
  label: string,
): void {
  const { d_inner, d_conv, ngroups, norm_before_gate, norm_epsilon: eps } = config;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  const { training, initial, state, gradState, input, normed, gradOutput, grad } = tensors;
  const { part: mixer } = tensors.weights;
  const { part: gradients } = tensors.gradients;
  const { partials, shape: { batch, seqlen } } = training;
  const { zxbcdt, xBC, y, gated } = tensors.activations;
  const rows = batch * seqlen;
  const name = (op: string): string => `${label}.mixer.${op}_bwd`;

  outProjBwd(
    program,
    {
      x: gated,
      grad_y: gradOutput,
      grad_x: grad.y,
      weight: mixer.out_proj,
      gradients: { weight: gradients.out_proj, bias: gradients.out_proj_bias },
    },
    { rows, label: name("out_proj") },
  );
  const norm = mixer.norm && gradients.norm && {
    ...{ weight: mixer.norm, partials, grad_weight: gradients.norm },
  };
  gatedRmsNormBwd(program, { y, z: zxbcdt, grad_out: grad.y, grad_z: grad.zxbcdt, norm }, {
    ...{ rows, d_inner, group_size: d_inner / ngroups, eps, norm_before_gate },
    ...{ ldZ: d_in_proj, ldGradZ: d_in_proj, label: name("norm") },
  });

  ssdBwd(
    program,
    {
      ...{ xBC, zxbcdt },
      A_log: mixer.A_log,
      D: mixer.D,
      dt_bias: mixer.dt_bias,
      ssm_state: state.ssm_state,
      grad_y: grad.y,
      grad_xBC: grad.xBC,
      grad_zxbcdt: grad.zxbcdt,
      grad_A_log: gradients.A_log,
      grad_D: gradients.D,
      grad_dt_bias: gradients.dt_bias,
      grad_state: gradState.ssm_state,
      sums: grad.sums,
      partials: grad.partials_ssd,
    },
    { ...config, batch, seqlen, chunk: SSD_CHUNK, gradFinal: false, label: name("ssd") },
  );

  conv1dBwd(
    program,
    {
      x: zxbcdt,
      weight: mixer.conv1d,
      bias: mixer.conv1d_bias,
      conv_state: initial.conv_state,
      grad_y: grad.xBC,
      grad_x: grad.zxbcdt,
      grad_conv_state: gradState.conv_state,
      grad_weight: gradients.conv1d,
      grad_bias: gradients.conv1d_bias,
      partials,
    },
    {
      ...{ batch, seqlen, d_inner: conv_dim, d_conv },
      ...{ ldX: d_in_proj, xOffset: d_inner, ldGradX: d_in_proj, gradXOffset: d_inner },
      label: name("conv1d"),
    },
  );

  inProjBwd(
    program,
    config,
    training,
    {
      ...{ input, normed, grad_y: grad.zxbcdt },
      norm: tensors.weights.norm,
      grad_norm: tensors.gradients.norm,
      weight: mixer.in_proj,
      gradients: { weight: gradients.in_proj, bias: gradients.in_proj_bias },
    },
    label,
  );
}
