/** The backward half of a Mamba-2 block: gradients of its parameters, and of the residual stream before it. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { conv1dBwd, conv1dBwdScratch } from "../../ops/training/conv1d_bwd.ts";
import { gatedRmsNormFwd } from "../../ops/gated_rms_norm.ts";
import { gatedRmsNormBwd, gatedRmsNormBwdParts } from "../../ops/training/gated_rms_norm_bwd.ts";
import { columnSumScratch } from "../../ops/training/linear_bwd.ts";
import { ssdBwd, ssdBwdScratch } from "../../ops/training/ssd_bwd.ts";
import { SSD_CHUNK, ssdWidths } from "../../model/ssd_sizes.ts";
import type { Mamba2Config } from "../../model/mixers/mamba2.ts";
import type { BatchShape } from "../../model/training_executor.ts";
import type { Mamba2Activations, Mamba2State, Mamba2Weights } from "./mamba2.ts";
import type { HalfBwdTensors, PartTraining } from "./part.ts";
import { inProjBwd, outProjBwd } from "./projection_bwd.ts";

/** Gradients of activations inside a block, shared by all layers, and what ssdBwd() works in. */
export interface Mamba2Gradients {
  /** Of the gated output, and then of the recurrence's. */
  readonly y: Tensor;
  readonly xBC: Tensor;
  readonly zxbcdt: Tensor;
  /** Of the states that the sequences began with, which nothing reads. */
  readonly conv_state: Tensor;
  readonly ssm_state: Tensor;
  readonly grad_CB: Tensor;
  readonly grad_states: Tensor;
  readonly sums: Tensor;
  readonly partials: Tensor;
}

function mamba2Gradients(
  config: Mamba2Config,
  shape: BatchShape,
  make: (name: string, size: number) => Tensor,
): Mamba2Gradients {
  const { batch, seqlen } = shape;
  const rows = batch * seqlen;
  const { d_inner, conv_dim, d_in_proj } = ssdWidths(config);
  const { grad_CB, grad_states, sums, partials } = ssdBwdScratch({
    ...config,
    ...shape,
    chunk: SSD_CHUNK,
  });
  return {
    y: make("grad_y", rows * d_inner),
    xBC: make("grad_xBC", rows * conv_dim),
    zxbcdt: make("grad_zxbcdt", rows * d_in_proj),
    conv_state: make("grad_conv_state", batch * conv_dim * config.d_conv),
    ssm_state: make("grad_ssm_state", batch * d_inner * config.d_state),
    grad_CB: make("grad_CB", grad_CB),
    grad_states: make("grad_states", grad_states),
    sums: make("sums", sums),
    partials: make("partials_ssd", partials),
  };
}

function mamba2PartialElements(config: Mamba2Config, shape: BatchShape): number {
  const rows = shape.batch * shape.seqlen;
  const { d_inner, conv_dim, d_in_proj } = ssdWidths(config);
  return Math.max(
    conv1dBwdScratch({ ...shape, d_inner: conv_dim, d_conv: config.d_conv }),
    columnSumScratch(rows, d_in_proj),
    gatedRmsNormBwdParts(rows) * d_inner,
  );
}

/**
 * Records the backward half of one block, op by op in reverse.
 *
 * training.grad.residual holds the gradient of the block's output, and then that of its input. Gradients of the
 * parameters are written. The shared grad is overwritten by gradients on the way.
 */
function mamba2Bwd(
  program: Program,
  config: Mamba2Config,
  tensors: HalfBwdTensors<Mamba2Weights, Mamba2Activations, Mamba2Gradients, Mamba2State>,
  label: string,
): void {
  const { d_inner, d_conv, ngroups, norm_before_gate, norm_epsilon: eps } = config;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  const { training, initial, state, input, gradOutput, grad } = tensors;
  const { part: mixer } = tensors.weights;
  const { part: gradients } = tensors.gradients;
  const { partials, shape: { batch, seqlen } } = training;
  const { zxbcdt, xBC, y, gated, decays, CB } = tensors.activations;
  const rows = batch * seqlen;
  const name = (op: string): string => `${label}.mixer.${op}_bwd`;

  const normShape = {
    ...{ rows, d_inner, group_size: d_inner / ngroups, eps, norm_before_gate },
    ldZ: d_in_proj,
    label: name("norm"),
  };
  // Its output was not kept: it takes little to compute.
  gatedRmsNormFwd(program, { y, z: zxbcdt, weight: mixer.norm, out: gated }, normShape);
  outProjBwd(
    program,
    training,
    {
      x: gated,
      grad_y: gradOutput,
      grad_x: grad.y,
      weight: mixer.out_proj,
      gradients: { weight: gradients.out_proj, bias: gradients.out_proj_bias },
    },
    name("out_proj"),
  );
  const norm = mixer.norm && gradients.norm && {
    weight: mixer.norm,
    partials: partials,
    grad_weight: gradients.norm,
  };
  gatedRmsNormBwd(program, { y, z: zxbcdt, grad_out: grad.y, grad_z: grad.zxbcdt, norm }, {
    ...normShape,
    ldGradZ: d_in_proj,
  });

  ssdBwd(
    program,
    {
      xBC,
      zxbcdt,
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
      grad_state: grad.ssm_state,
      decays,
      CB,
      grad_CB: grad.grad_CB,
      grad_states: grad.grad_states,
      sums: grad.sums,
      partials: grad.partials,
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
      grad_conv_state: grad.conv_state,
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
      input,
      grad_y: grad.zxbcdt,
      norm: tensors.weights.norm,
      grad_norm: tensors.gradients.norm,
      weight: mixer.in_proj,
      gradients: { weight: gradients.in_proj, bias: gradients.in_proj_bias },
    },
    label,
  );
}

/** How it is trained. */
export const mamba2Training: PartTraining<
  Mamba2Config,
  Mamba2Weights,
  Mamba2Activations,
  Mamba2Gradients,
  Mamba2State
> = {
  chunk: SSD_CHUNK,
  keeps: { conv_state: "ends", ssm_state: "borders" },
  recomputed: new Set(["gated", "decays", "CB", "states"]),
  gradients: mamba2Gradients,
  partialElements: mamba2PartialElements,
  backward: mamba2Bwd,
};
