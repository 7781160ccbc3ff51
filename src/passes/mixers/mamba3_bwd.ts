/** The backward half of a Mamba-3 block: gradients of its parameters, and of the residual stream before it. */

import { gatePartials } from "../../model/mamba3_partials.ts";
import { mamba3Widths } from "../../model/mamba3_sizes.ts";
import type { Mamba3Config } from "../../model/mixers/mamba3.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { HalfBwdTensors, PartTraining } from "../part.ts";
import type { Mamba3Activation, Mamba3State, Mamba3Weights } from "./mamba3.ts";
import { inProjBwd, outProjBwd } from "./projection_bwd.ts";

/** Names of what backward works in, which all layers share. */
type Mamba3Scratch =
  /** Of the gated output. */
  | "grad_gated"
  | "grad_vkq"
  | "grad_rates"
  | "grad_thetas"
  | "grad_zxBCdt"
  /** Of the states that the sequences began with, which nothing reads. */
  | "grad_state"
  /** What mamba3ScanBwd() works in. */
  | "grad_CB"
  | "grad_states"
  | "sums"
  | "skips"
  /** And mamba3InputsBwd(). */
  | "norm_rows"
  | "dt_rows"
  | "vkq_sums";

type Mamba3BwdTensors<K extends PassKinds> = HalfBwdTensors<
  K,
  Mamba3Weights<K>,
  Mamba3State,
  Mamba3Activation,
  Mamba3Scratch
>;

/** How it is trained. */
export function mamba3Training<K extends PassKinds>(
  ops: OpSet<K>,
): PartTraining<
  K,
  Mamba3Config,
  Mamba3Weights<K>,
  Mamba3State,
  Mamba3Activation,
  Mamba3Scratch
> {
  return {
    // States inside the sequence are an activation of its own.
    chunk: ops.SSD_CHUNK,
    keeps: { theta: "ends", ssm_state: "ends", k: "ends", v: "ends" },
    recomputed: new Set(["gated", "decays", "CB"] as const),

    scratchSizes(config, shape) {
      const { batch, seqlen } = shape;
      const rows = batch * seqlen;
      const { nheads, d_state, mimo_rank, num_rope_angles } = config;
      const { d_inner, d_in_proj, d_vkq } = mamba3Widths(config);
      const { partials: _, ...scan } = ops.mamba3ScanBwdScratch({ ...config, ...shape });
      return {
        grad_gated: rows * d_inner,
        grad_vkq: rows * mimo_rank * d_vkq,
        grad_rates: rows * nheads * 4,
        grad_thetas: rows * nheads * num_rope_angles,
        grad_zxBCdt: rows * d_in_proj,
        grad_state: batch * d_inner * d_state,
        ...scan,
        norm_rows: rows * d_state,
        dt_rows: rows * nheads,
        vkq_sums: mimo_rank * d_vkq,
      };
    },

    together: [],

    partialElements(config, shape) {
      const rows = shape.batch * shape.seqlen;
      const { nheads, d_state, mimo_rank } = config;
      const { d_vkq } = mamba3Widths(config);
      return Math.max(
        ops.mamba3ScanBwdScratch({ ...config, ...shape }).partials,
        gatePartials({ ...config, ...shape }).end,
        ...[nheads, d_state, mimo_rank * d_vkq].map((width) => ops.columnSumScratch(rows, width)),
      );
    },

    /**
     * Op by op in reverse. training.grad.residual holds the gradient of the block's output, and then that of its input.
     * y and the shared scratch are overwritten by gradients on the way.
     */
    backward: (program, config, tensors, label) => {
      recordBackward(ops, program, config, tensors, label);
    },
  };
}

function recordBackward<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba3Config,
  tensors: Mamba3BwdTensors<K>,
  label: string,
): void {
  const { training, initial, input, normed, gradOutput, scratch } = tensors;
  const { grad_gated, grad_vkq, grad_rates, grad_zxBCdt } = scratch;
  const { part: mixer } = tensors.weights;
  const { part: gradients } = tensors.gradients;
  const { partials, shape: { batch, seqlen } } = training;
  const { zxBCdt, rates, thetas, vkq, y, gated, decays, CB, states } = tensors.activations;
  const shape = { ...config, batch, seqlen, eps: config.norm_epsilon };
  const name = (op: string): string => `${label}.mixer.${op}_bwd`;
  const { mimo_x, mimo_z, mimo_o, norm: weight } = mixer;

  const gate = { y, zxBCdt, mimo_z, mimo_o, weight };
  if (ops.recomputes) {
    ops.mamba3GateFwd(program, { ...gate, out: gated }, { ...shape, label: name("gate") });
  }
  outProjBwd(
    ops,
    program,
    training,
    {
      x: gated,
      grad_y: gradOutput,
      grad_x: grad_gated,
      weight: mixer.out_proj,
      gradients: { weight: gradients.out_proj, bias: undefined },
    },
    name("out_proj"),
  );
  ops.mamba3GateBwd(
    program,
    {
      ...{ ...gate, grad_out: grad_gated, grad_zxBCdt, partials },
      grad_mimo_z: gradients.mimo_z,
      grad_mimo_o: gradients.mimo_o,
      grad_weight: gradients.norm,
    },
    { ...shape, label: name("gate") },
  );
  ops.mamba3ScanBwd(
    program,
    {
      ...{ vkq, rates, mimo_x, D: mixer.D, k: initial.k, v: initial.v, states },
      // In its place comes its gradient.
      grad_y: y,
      ...{ grad_vkq, grad_rates, grad_D: gradients.D, grad_state: scratch.grad_state },
      // With what it has through the state that a sequence begins with; the inputs add to it.
      grad_mimo_x: gradients.mimo_x,
      ...{ decays, CB, grad_CB: scratch.grad_CB, grad_states: scratch.grad_states },
      ...{ sums: scratch.sums, skips: scratch.skips, partials },
    },
    { ...shape, label: name("scan") },
  );
  const { dt_bias, B_norm, C_norm } = mixer;
  ops.mamba3InputsBwd(
    program,
    {
      ...{ zxBCdt, dt_bias, B_norm, C_norm, mimo_x, rates, thetas, vkq },
      ...{ grad_vkq, grad_rates, grad_zxBCdt, grad_thetas: scratch.grad_thetas, partials },
      grad_dt_bias: gradients.dt_bias,
      grad_B_norm: gradients.B_norm,
      grad_C_norm: gradients.C_norm,
      grad_B_bias: gradients.B_bias,
      grad_C_bias: gradients.C_bias,
      grad_mimo_x: gradients.mimo_x,
      ...{ norm_rows: scratch.norm_rows, dt_rows: scratch.dt_rows, vkq_sums: scratch.vkq_sums },
    },
    { ...shape, label: name("inputs") },
  );
  inProjBwd(
    ops,
    program,
    config,
    training,
    {
      input,
      normed,
      grad_y: grad_zxBCdt,
      norm: tensors.weights.norm,
      grad_norm: tensors.gradients.norm,
      weight: mixer.in_proj,
      gradients: { weight: gradients.in_proj, bias: undefined },
    },
    label,
  );
}
