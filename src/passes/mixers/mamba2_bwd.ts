/** The backward half of a Mamba-2 block: gradients of its parameters, and of the residual stream before it. */

import type { Mamba2Config } from "../../model/mixers/mamba2.ts";
import { ssdWidths } from "../../model/ssd_sizes.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { HalfBwdTensors, PartTraining } from "../part.ts";
import type { Mamba2Activation, Mamba2State, Mamba2Weights } from "./mamba2.ts";
import { inProjBwd, outProjBwd } from "./projection_bwd.ts";

/** Names of what backward works in, which all layers share. */
type Mamba2Scratch =
  /** Of the gated output, and then of the recurrence's. */
  | "grad_y"
  | "grad_xBC"
  | "grad_zxbcdt"
  /** Of the states that the sequences began with, which nothing reads. */
  | "grad_conv_state"
  | "grad_ssm_state"
  /** What ssdBwd() works in. */
  | "grad_CB"
  | "grad_states"
  | "sums"
  | "partials_ssd";

type Mamba2BwdTensors<K extends PassKinds> = HalfBwdTensors<
  K,
  Mamba2Weights<K>,
  Mamba2State,
  Mamba2Activation,
  Mamba2Scratch
>;

/** How it is trained. */
export function mamba2Training<K extends PassKinds>(
  ops: OpSet<K>,
): PartTraining<
  K,
  Mamba2Config,
  Mamba2Weights<K>,
  Mamba2State,
  Mamba2Activation,
  Mamba2Scratch
> {
  return {
    chunk: ops.SSD_CHUNK,
    keeps: { conv_state: "ends", ssm_state: "borders" },
    recomputed: new Set(["gated", "decays", "CB", "states"] as const),

    scratchSizes(config, shape) {
      const { batch, seqlen } = shape;
      const rows = batch * seqlen;
      const { d_inner, conv_dim, d_in_proj } = ssdWidths(config);
      const { grad_CB, grad_states, sums, partials } = ops.ssdBwdScratch({
        ...config,
        ...shape,
        chunk: ops.SSD_CHUNK,
      });
      return {
        grad_y: rows * d_inner,
        grad_xBC: rows * conv_dim,
        grad_zxbcdt: rows * d_in_proj,
        grad_conv_state: batch * conv_dim * config.d_conv,
        grad_ssm_state: batch * d_inner * config.d_state,
        ...{ grad_CB, grad_states, sums },
        partials_ssd: partials,
      };
    },

    together: [],

    partialElements(config, shape) {
      const rows = shape.batch * shape.seqlen;
      const { d_inner, conv_dim, d_in_proj } = ssdWidths(config);
      return Math.max(
        ops.conv1dBwdScratch({ ...shape, d_inner: conv_dim, d_conv: config.d_conv }),
        ops.columnSumScratch(rows, d_in_proj),
        ops.gatedRmsNormBwdParts(rows) * d_inner,
      );
    },

    /**
     * Op by op in reverse. training.grad.residual holds the gradient of the block's output, and then that of its input.
     * The shared scratch is overwritten by gradients on the way.
     */
    backward: (program, config, tensors, label) => {
      recordBackward(ops, program, config, tensors, label);
    },
  };
}

function recordBackward<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba2Config,
  tensors: Mamba2BwdTensors<K>,
  label: string,
): void {
  const { d_inner, d_conv, ngroups, norm_before_gate, norm_epsilon: eps } = config;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  const { training, initial, state, input, normed, gradOutput, scratch } = tensors;
  const { grad_y, grad_xBC, grad_zxbcdt } = scratch;
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
  if (ops.recomputes) {
    ops.gatedRmsNormFwd(program, { y, z: zxbcdt, weight: mixer.norm, out: gated }, normShape);
  }
  outProjBwd(
    ops,
    program,
    training,
    {
      x: gated,
      grad_y: gradOutput,
      grad_x: grad_y,
      weight: mixer.out_proj,
      gradients: { weight: gradients.out_proj, bias: gradients.out_proj_bias },
    },
    name("out_proj"),
  );
  const norm = mixer.norm && gradients.norm && {
    weight: mixer.norm,
    partials,
    grad_weight: gradients.norm,
  };
  ops.gatedRmsNormBwd(program, { y, z: zxbcdt, grad_out: grad_y, grad_z: grad_zxbcdt, norm }, {
    ...normShape,
    ldGradZ: d_in_proj,
  });

  ops.ssdBwd(
    program,
    {
      xBC,
      zxbcdt,
      A_log: mixer.A_log,
      D: mixer.D,
      dt_bias: mixer.dt_bias,
      ssm_state: state.ssm_state,
      grad_y,
      grad_xBC,
      grad_zxbcdt,
      grad_A_log: gradients.A_log,
      grad_D: gradients.D,
      grad_dt_bias: gradients.dt_bias,
      grad_state: scratch.grad_ssm_state,
      decays,
      CB,
      grad_CB: scratch.grad_CB,
      grad_states: scratch.grad_states,
      sums: scratch.sums,
      partials: scratch.partials_ssd,
    },
    { ...config, batch, seqlen, chunk: ops.SSD_CHUNK, gradFinal: false, label: name("ssd") },
  );

  ops.conv1dBwd(
    program,
    {
      x: zxbcdt,
      weight: mixer.conv1d,
      bias: mixer.conv1d_bias,
      conv_state: initial.conv_state,
      grad_y: grad_xBC,
      grad_x: grad_zxbcdt,
      grad_conv_state: scratch.grad_conv_state,
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
    ops,
    program,
    config,
    training,
    {
      input,
      normed,
      grad_y: grad_zxbcdt,
      norm: tensors.weights.norm,
      grad_norm: tensors.gradients.norm,
      weight: mixer.in_proj,
      gradients: { weight: gradients.in_proj, bias: gradients.in_proj_bias },
    },
    label,
  );
}
