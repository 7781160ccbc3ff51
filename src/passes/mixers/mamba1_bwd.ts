/** The backward half of a Mamba-1 block: gradients of its parameters, and of the residual stream before it. */

import type { Mamba1Config } from "../../model/mixers/mamba1.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { HalfBwdTensors, PartTraining } from "../part.ts";
import type { Mamba1Activation, Mamba1State, Mamba1Weights } from "./mamba1.ts";
import { inProjBwd, outProjBwd } from "./projection_bwd.ts";

/** Names of what backward works in, which all layers share. */
type Mamba1Scratch =
  /** Of the gated output; the scan's backward turns it into that of its input. */
  | "grad_y"
  | "grad_x_dbl"
  | "grad_xz"
  /** Of the states that the sequences began with, which nothing reads. */
  | "grad_conv_state"
  | "grad_ssm_state"
  | "partials_BC"
  | "partials_scan";

type Mamba1BwdTensors<K extends PassKinds> = HalfBwdTensors<
  K,
  Mamba1Weights<K>,
  Mamba1State,
  Mamba1Activation,
  Mamba1Scratch
>;

/** How it is trained. */
export function mamba1Training<K extends PassKinds>(
  ops: OpSet<K>,
): PartTraining<
  K,
  Mamba1Config,
  Mamba1Weights<K>,
  Mamba1State,
  Mamba1Activation,
  Mamba1Scratch
> {
  return {
    chunk: ops.SCAN_CHUNK,
    keeps: { conv_state: "ends", ssm_state: "borders" },
    recomputed: new Set(),

    scratchSizes({ d_inner, d_state, d_conv, dt_rank }, shape) {
      const { batch, seqlen } = shape;
      const rows = batch * seqlen;
      const { partials_BC, partials_params } = ops.scanBwdScratch({ ...shape, d_inner, d_state });
      return {
        grad_y: rows * d_inner,
        grad_ssm_state: batch * d_inner * d_state,
        partials_scan: partials_params,
        grad_x_dbl: rows * (dt_rank + 2 * d_state),
        grad_xz: rows * 2 * d_inner,
        grad_conv_state: batch * d_inner * d_conv,
        partials_BC,
      };
    },

    together: ["grad_y", "grad_ssm_state", "partials_scan"],

    partialElements({ d_inner, d_conv }, shape) {
      return Math.max(
        ops.conv1dBwdScratch({ ...shape, d_inner, d_conv }),
        ops.columnSumScratch(shape.batch * shape.seqlen, 2 * d_inner),
      );
    },

    /**
     * Op by op in reverse. training.grad.residual holds the gradient of the block's output, and then that of its input.
     * The layer's dt and the shared scratch are overwritten by gradients on the way.
     */
    backward: (program, config, tensors, label) => {
      recordBackward(ops, program, config, tensors, label);
    },
  };
}

function recordBackward<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba1Config,
  tensors: Mamba1BwdTensors<K>,
  label: string,
): void {
  const { d_inner, d_state, d_conv, dt_rank, mixer_rms_eps } = config;
  const { training, initial, state, input, normed, gradOutput, scratch } = tensors;
  const { grad_y, grad_xz, grad_x_dbl } = scratch;
  const { part: mixer } = tensors.weights;
  const { part: gradients } = tensors.gradients;
  const { batch, seqlen } = training.shape;
  const { xz, u, x_dbl, x_dbl_rstd, dt, y } = tensors.activations;
  const { partials } = training;
  const rows = batch * seqlen;
  const ldXDbl = dt_rank + 2 * d_state;
  const name = (op: string): string => `${label}.mixer.${op}_bwd`;

  outProjBwd(
    ops,
    program,
    training,
    {
      x: y,
      grad_y: gradOutput,
      grad_x: grad_y,
      weight: mixer.out_proj,
      gradients: { weight: gradients.out_proj, bias: gradients.out_proj_bias },
    },
    name("out_proj"),
  );

  ops.selectiveScanBwd(
    program,
    {
      u,
      dt,
      x_dbl,
      xz,
      A_log: mixer.A_log,
      D: mixer.D,
      ssm_state: state.ssm_state,
      grad_y,
      grad_xz,
      grad_x_dbl,
      grad_A_log: gradients.A_log,
      grad_D: gradients.D,
      grad_state: scratch.grad_ssm_state,
      partials_BC: scratch.partials_BC,
      partials_params: scratch.partials_scan,
    },
    { batch, seqlen, d_inner, d_state, dt_rank, gradFinal: false, label: name("scan") },
  );
  const grad_u = grad_y;
  const grad_dt = dt;

  ops.matmulBwdW(program, { grad_y: grad_dt, x: x_dbl, grad_weight: gradients.dt_proj, partials }, {
    rows,
    ldX: ldXDbl,
    label: name("dt_proj"),
  });
  ops.columnSum(program, { x: grad_dt, partials, y: gradients.dt_proj_bias }, {
    rows,
    columns: d_inner,
    label: name("dt_proj"),
  });
  ops.matmulBwdX(program, { grad_y: grad_dt, weight: mixer.dt_proj, grad_x: grad_x_dbl }, {
    rows,
    ldX: ldXDbl,
    label: name("dt_proj"),
  });

  if (mixer_rms_eps !== undefined) {
    const norms = { x_dbl, rstd: x_dbl_rstd, grad_x_dbl };
    ops.dtBCNormBwd(program, norms, { rows, dt_rank, d_state, label: name("dt_bc_norm") });
  }
  ops.matmulBwdW(program, { grad_y: grad_x_dbl, x: u, grad_weight: gradients.x_proj, partials }, {
    rows,
    label: name("x_proj"),
  });
  ops.matmulBwdX(program, { grad_y: grad_x_dbl, weight: mixer.x_proj, grad_x: grad_u }, {
    rows,
    accumulate: true,
    label: name("x_proj"),
  });

  ops.conv1dBwd(
    program,
    {
      x: xz,
      weight: mixer.conv1d,
      bias: mixer.conv1d_bias,
      conv_state: initial.conv_state,
      grad_y: grad_u,
      grad_x: grad_xz,
      grad_conv_state: scratch.grad_conv_state,
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
    ops,
    program,
    config,
    training,
    {
      input,
      normed,
      grad_y: grad_xz,
      norm: tensors.weights.norm,
      grad_norm: tensors.gradients.norm,
      weight: mixer.in_proj,
      gradients: { weight: gradients.in_proj, bias: gradients.in_proj_bias },
    },
    label,
  );
}
