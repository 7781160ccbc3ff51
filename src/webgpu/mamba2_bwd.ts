/** The backward half of a Mamba-2 block: gradients of its parameters, and of the residual stream before it. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { conv1dBwd, conv1dBwdScratch } from "../ops/conv1d_bwd.ts";
import { gatedRmsNormFwd } from "../ops/gated_rms_norm.ts";
import { gatedRmsNormBwd, gatedRmsNormBwdParts } from "../ops/gated_rms_norm_bwd.ts";
import { columnSumScratch } from "../ops/linear_bwd.ts";
import { ssdBwd, ssdBwdScratch } from "../ops/ssd_bwd.ts";
import { ssdWidths } from "../model/ssd_sizes.ts";
import type { BatchShape } from "./training_activations.ts";
import type { Mamba2Config } from "../model/config/config.ts";
import type { Mamba2Scratch, Mamba2Weights } from "./mamba2.ts";
import type { BlockBwdTensors } from "./mixer_bwd.ts";
import { inProjBwd, outProjBwd } from "./projection_bwd.ts";

/** Activations that backward computes again instead of keeping them. */
export const MAMBA2_RECOMPUTED: ReadonlySet<string> = new Set(["gated", "decays", "CB", "states"]);

/** Gradients of activations inside a block, shared by all layers, and what ssdBwd() works in. */
export interface Mamba2Gradients {
  /** Tells the kinds of mixers apart. */
  readonly kind: "mamba2";
  /** Of the gated output, and then of the recurrence's. */
  readonly y: Tensor;
  readonly xBC: Tensor;
  readonly zxbcdt: Tensor;
  readonly grad_CB: Tensor;
  readonly grad_states: Tensor;
  readonly sums: Tensor;
  readonly partials: Tensor;
}

/** Allocates them, with what makes a tensor of a size. */
export function mamba2Gradients(
  config: Mamba2Config,
  shape: BatchShape & { readonly chunk: number },
  make: (name: string, size: number) => Tensor,
): Mamba2Gradients {
  const rows = shape.batch * shape.seqlen;
  const { d_inner, conv_dim, d_in_proj } = ssdWidths(config);
  const { grad_CB, grad_states, sums, partials } = ssdBwdScratch({ ...config, ...shape });
  return {
    kind: "mamba2",
    y: make("grad_y", rows * d_inner),
    xBC: make("grad_xBC", rows * conv_dim),
    zxbcdt: make("grad_zxbcdt", rows * d_in_proj),
    grad_CB: make("grad_CB", grad_CB),
    grad_states: make("grad_states", grad_states),
    sums: make("sums", sums),
    partials: make("partials_ssd", partials),
  };
}

/** Elements of the largest partial sums of a parameter's gradient, matrices aside. */
export function mamba2PartialElements(config: Mamba2Config, shape: BatchShape): number {
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
 * activations.grad.residual holds the gradient of the block's output, and then that of its input. Gradients of the
 * parameters are written. The shared grad is overwritten by gradients on the way.
 */
export function mamba2Bwd(
  program: Program,
  config: Mamba2Config,
  tensors: BlockBwdTensors<Mamba2Weights, Mamba2Scratch, Mamba2Gradients>,
  label: string,
): void {
  const { d_inner, d_conv, ngroups, norm_before_gate, norm_epsilon: eps } = config;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  const { activations, layer, input, gradOutput, grad } = tensors;
  const { mixer } = tensors.weights;
  const gradients = tensors.gradients.mixer;
  const { chunk, partials, shape: { batch, seqlen } } = activations;
  const { zxbcdt, xBC, y, gated, decays, CB } = tensors.scratch;
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
    activations,
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
      ssm_state: layer.ssm_states,
      grad_y: grad.y,
      grad_xBC: grad.xBC,
      grad_zxbcdt: grad.zxbcdt,
      grad_A_log: gradients.A_log,
      grad_D: gradients.D,
      grad_dt_bias: gradients.dt_bias,
      grad_state: activations.grad.ssm_state,
      decays,
      CB,
      grad_CB: grad.grad_CB,
      grad_states: grad.grad_states,
      sums: grad.sums,
      partials: grad.partials,
    },
    { ...config, batch, seqlen, chunk, gradFinal: false, label: name("ssd") },
  );

  conv1dBwd(
    program,
    {
      x: zxbcdt,
      weight: mixer.conv1d,
      bias: mixer.conv1d_bias,
      conv_state: layer.conv_initial,
      grad_y: grad.xBC,
      grad_x: grad.zxbcdt,
      grad_conv_state: activations.grad.conv_state,
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
    activations,
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
