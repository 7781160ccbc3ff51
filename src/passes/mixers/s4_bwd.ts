/** The backward half of an S4D or S4 block: gradients of its parameters, and of the residual stream before it. */

import type { S4Config } from "../../model/mixers/s4_fields.ts";
import { systemSize, tableSize } from "../../model/s4_sizes.ts";
import { recordDropout } from "../dropout.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { HalfBwdTensors, PartTraining } from "../part.ts";
import { chunkOf, type S4Activation, type S4State, type S4Weights } from "./s4.ts";
import {
  chunkCount,
  convBwdPartials,
  powerBwdScratch,
  recordConvBwd,
  recordPowerBwd,
} from "./s4_conv.ts";

/** Names of what backward works in, which all layers share. */
type S4Scratch =
  /** Of GELU's output, and then of the layer's (rows, d_model). */
  | "grad_y"
  /** Of the state before each chunk. */
  | "grad_states"
  | "grad_table"
  | "grad_system"
  /** Of S4: powers of its step, and gradients of two of them. */
  | "powers"
  | "grad_power"
  | "grad_root";

type S4BwdTensors<K extends PassKinds> = HalfBwdTensors<
  K,
  S4Weights<K>,
  S4State,
  S4Activation,
  S4Scratch
>;

/** How either is trained. */
export function s4Training<K extends PassKinds>(
  ops: OpSet<K>,
): PartTraining<K, S4Config, S4Weights<K>, S4State, S4Activation, S4Scratch> {
  return {
    chunk: ops.S4_CHUNK,
    keeps: { ssm_state: "borders" },
    recomputed: new Set(),

    scratchSizes(config, { batch, seqlen }) {
      const { d_model, d_state } = config;
      const shape = chunkOf(ops, config);
      return {
        grad_y: batch * seqlen * d_model,
        grad_states: batch * chunkCount({ ...shape, seqlen }) * d_state * d_model,
        grad_table: tableSize(shape),
        grad_system: systemSize(shape),
        ...(shape.lowRank ? powerBwdScratch(shape) : { powers: 0, grad_power: 0, grad_root: 0 }),
      };
    },

    together: [],

    partialElements(config, { batch, seqlen }) {
      return Math.max(
        convBwdPartials(ops, { ...chunkOf(ops, config), batch, seqlen }),
        ops.columnSumScratch(batch * seqlen, 2 * config.d_model),
      );
    },

    /**
     * Op by op in reverse. training.grad.residual holds the gradient of the block's output, and then that of its input. The
     * layer's `out` is overwritten by its gradient on the way, and `activated` too where something was dropped.
     */
    backward: (program, config, tensors, label) => {
      recordBackward(ops, program, config, tensors, label);
    },
  };
}

function recordBackward<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: S4Config,
  tensors: S4BwdTensors<K>,
  label: string,
): void {
  const { d_model, norm_epsilon: eps } = config;
  const { training, input, normed, gradOutput, activations, within } = tensors;
  const { partials, grad } = training;
  const { grad_y } = tensors.scratch;
  const { part: mixer, norm } = tensors.weights;
  const { part: gradients } = tensors.gradients;
  const rows = training.shape.batch * training.shape.seqlen;
  const name = (op: string): string => `${label}.mixer.${op}_bwd`;

  ops.gluBwd(program, { grad_y: gradOutput, x: activations.out }, {
    ...{ rows, d_model, label: name("glu") },
  });
  const grad_out = activations.out;
  ops.matmulBwdW(
    program,
    { grad_y: grad_out, x: activations.activated, grad_weight: gradients.out, partials },
    { rows, label: name("out") },
  );
  ops.columnSum(program, { x: grad_out, partials, y: gradients.out_bias }, {
    ...{ rows, columns: 2 * d_model, label: name("out") },
  });
  const grad_x = within === undefined ? grad_y : activations.activated;
  ops.matmulBwdX(program, { grad_y: grad_out, weight: mixer.out, grad_x }, {
    ...{ rows, label: name("out") },
  });
  const size = rows * d_model;
  if (within !== undefined) {
    recordDropout(ops, program, within, { x: grad_x, y: grad_y }, { size, label: name("dropout") });
  }
  ops.geluBwd(program, { x: activations.y, grad: grad_y }, { size, label: name("gelu") });
  if (ops.recomputes) {
    const normTensors = { x: input, weight: norm, y: normed };
    ops.rmsNormFwd(program, normTensors, { rows, d_model, eps, label: `${label}.norm` });
  }
  recordLayerBwd(ops, program, config, tensors, label);
  ops.rmsNormBwd(
    program,
    {
      x: input,
      weight: norm,
      grad_y: grad.normed,
      grad_x: grad.residual,
      partials,
      grad_weight: tensors.gradients.norm,
    },
    { rows, d_model, eps, accumulateX: true, label: `${label}.norm_bwd` },
  );
}

/** The layer itself, from `grad_y` to the gradient of its input, and to those of its parameters. */
function recordLayerBwd<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: S4Config,
  tensors: S4BwdTensors<K>,
  label: string,
): void {
  const { training: { partials, grad, shape: size }, scratch, normed: u } = tensors;
  const { part: weights } = tensors.weights;
  const { part: gradients } = tensors.gradients;
  const { system, table, C } = weights;
  const { grad_y, grad_states, grad_table, grad_system } = scratch;
  const shape = { ...chunkOf(ops, config), ...size, label: `${label}.mixer.layer_bwd` };
  const { d_model, d_state } = shape;
  recordConvBwd(
    ops,
    program,
    {
      ...{ u, table, states: tensors.state.ssm_state, grad_y, grad_u: grad.normed },
      ...{ grad_states, grad_table, partials },
    },
    shape,
  );
  ops.s4SeriesBwd(
    program,
    { system, C, table, grad_table, grad_system, grad_C: gradients.C, grad_D: gradients.D },
    shape,
  );
  const own = { d_model, d_state, label: `${label}.mixer.system_bwd` };
  if (weights.diagonal !== undefined && gradients.diagonal !== undefined) {
    const { A_re: grad_A_re, A_im: grad_A_im, log_step: grad_log_step } = gradients.diagonal;
    const outputs = { grad_A_re, grad_A_im, grad_log_step };
    ops.s4dSystemBwd(program, { ...weights.diagonal, grad_system, ...outputs }, own);
  }
  if (weights.lowRank !== undefined && gradients.lowRank !== undefined) {
    const { powers, grad_power, grad_root } = scratch;
    const grad_powers = [grad_power, grad_root] as const;
    // A single chunk takes no power of the step.
    if (chunkCount(shape) > 1) {
      recordPowerBwd(
        ops,
        program,
        { system, grad_table, grad_system, powers, grad_powers, partials },
        shape,
      );
    }
    const { Lambda_re } = weights.lowRank;
    ops.s4SystemBwd(
      program,
      {
        ...{ system, Lambda_re, grad_system },
        grad_Lambda_re: gradients.lowRank.Lambda_re,
        grad_Lambda_im: gradients.lowRank.Lambda_im,
        grad_P: gradients.lowRank.P,
        grad_B: gradients.lowRank.B,
        grad_log_step: gradients.lowRank.log_step,
      },
      own,
    );
  }
}
