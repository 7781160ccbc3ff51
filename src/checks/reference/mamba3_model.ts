/** A whole language model of Mamba-3 blocks, put together from the ops of this folder. */

import { at } from "./at.ts";
import { columns } from "./columns.ts";
import { embeddingFwd } from "./embedding.ts";
import type { BatchShape, MambaWeights } from "./mamba.ts";
import { mamba3GateFwd, mamba3InputsFwd, mamba3ScanFwd, type Mamba3Shape } from "./mamba3.ts";
import { matmulFwd } from "./matmul.ts";
import { rmsNormFwd } from "./rms_norm.ts";
import { swigluFwd } from "./swiglu.ts";

/** The fields of the model's config that its equations need. */
export interface Mamba3ModelConfig extends Omit<Mamba3Shape, "batch" | "seqlen" | "eps"> {
  d_model: number;
  n_layer: number;
  d_intermediate: number;
  is_outproj_norm: boolean;
  norm_epsilon: number;
  vocab_size: number;
}

/** What a block carries, for one or more sequences. */
export interface Mamba3BlockState {
  /** (batch, nheads, num_rope_angles) */
  theta: ArrayLike<number>;
  /** (batch, nheads, headdim, d_state) */
  ssm_state: ArrayLike<number>;
  /** (batch, mimo_rank, nheads, d_state) */
  k: ArrayLike<number>;
  /** (batch, nheads, headdim): x, before what MIMO multiplies it by. */
  v: ArrayLike<number>;
}

/** What mamba3ModelFwd() returns. */
export interface Mamba3Output {
  /** (batch, seqlen, vocab_size) */
  logits: Float64Array;
  /** One entry a block. */
  state: Mamba3BlockState[];
}

/** The state before the first step: zeros. */
export function zeroMamba3State(config: Mamba3ModelConfig, batch: number): Mamba3BlockState[] {
  const { nheads, headdim, d_state, mimo_rank, num_rope_angles } = config;
  return Array.from({ length: config.n_layer }, () => ({
    theta: new Float64Array(batch * nheads * num_rope_angles),
    ssm_state: new Float64Array(batch * nheads * headdim * d_state),
    k: new Float64Array(batch * mimo_rank * nheads * d_state),
    v: new Float64Array(batch * nheads * headdim),
  }));
}

/**
 * The whole model: embedding, blocks of a mixer and an MLP, norm_f, and the head that is tied to the embedding.
 *
 * @param inputs Ids (batch, seqlen)
 * @param state As an earlier call returned it; it is left as it is.
 */
export function mamba3ModelFwd(
  weights: MambaWeights,
  config: Mamba3ModelConfig,
  inputs: ArrayLike<number>,
  { batch, seqlen }: BatchShape,
  state: Mamba3BlockState[] = zeroMamba3State(config, batch),
): Mamba3Output {
  const { d_model, d_intermediate, norm_epsilon: eps } = config;
  const rows = batch * seqlen;
  const tensor = (name: string) => {
    const found = weights[name];
    if (found === undefined) throw new TypeError(`Cannot run the reference model: no "${name}"`);
    return found;
  };
  const table = weights["backbone.embedding.weight"] ?? tensor("backbone.embeddings.weight");
  let x: Float64Array = embeddingFwd(inputs, table, { d_model });
  const next = state.map((own, layer) => {
    const of = (name: string) => tensor(`backbone.layers.${layer}.${name}`);
    const normed = rmsNormFwd(x, of("norm.weight"), { rows, d_model, eps });
    const mixed = mamba3MixerFwd(
      (name) => of(`mixer.${name}`),
      config,
      normed,
      x,
      { batch, seqlen },
      own,
    );
    x = mixed.y;
    if (d_intermediate > 0) {
      const inner = rmsNormFwd(x, of("norm2.weight"), { rows, d_model, eps });
      const fc1 = { rows, in: d_model, out: 2 * d_intermediate };
      const hidden = matmulFwd(inner, of("mlp.fc1.weight"), undefined, fc1);
      const gated = swigluFwd(hidden, { rows, width: d_intermediate });
      const fc2 = { rows, in: d_intermediate, out: d_model };
      x = matmulFwd(gated, of("mlp.fc2.weight"), undefined, fc2, x);
    }
    return mixed.state;
  });
  const norm_f = rmsNormFwd(x, tensor("backbone.norm_f.weight"), { rows, d_model, eps });
  const head = { rows, in: d_model, out: config.vocab_size };
  return { logits: matmulFwd(norm_f, table, undefined, head), state: next };
}

/** y = residual + out_proj(gate(scan(in_proj(x)))). Rows of in_proj are [z, x, B, C, dd_dt, dd_A, trap, angles]. */
export function mamba3MixerFwd(
  own: (name: string) => ArrayLike<number>,
  config: Mamba3ModelConfig,
  x: ArrayLike<number>,
  residual: ArrayLike<number>,
  { batch, seqlen }: BatchShape,
  state: Mamba3BlockState,
): { y: Float64Array; state: Mamba3BlockState } {
  const { d_model, nheads, headdim, d_state, ngroups, mimo_rank, num_rope_angles } = config;
  const shape: Mamba3Shape = { ...config, batch, seqlen, eps: config.norm_epsilon };
  const rows = batch * seqlen;
  const d_inner = nheads * headdim;
  const d_bc = mimo_rank * ngroups * d_state;
  const widths = [d_inner, d_inner, d_bc, d_bc, nheads, nheads, nheads, num_rope_angles];
  const width = widths.reduce((sum, each) => sum + each, 0);
  const projected = matmulFwd(x, own("in_proj.weight"), undefined, {
    ...{ rows, in: d_model, out: width },
  });
  let end = 0;
  const parts = widths.map((each) => {
    end += each;
    return columns(projected, width, end - each, end);
  });
  const part = (i: number) => parts[i] ?? new Float64Array();
  const [z, value, B, C] = [part(0), part(1), part(2), part(3)];
  const [dd_dt, dd_A, trap, angles] = [part(4), part(5), part(6), part(7)];
  const ofMimo = (name: string) => config.is_mimo ? own(name) : undefined;
  const mimo_x = ofMimo("mimo_x");
  const steps = mamba3InputsFwd({
    ...{ x: value, B, C, dd_dt, dd_A, trap, angles, mimo_x, theta: state.theta },
    dt_bias: own("dt_bias"),
    B_norm: own("B_norm.weight"),
    C_norm: own("C_norm.weight"),
    B_bias: own("B_bias"),
    C_bias: own("C_bias"),
  }, shape);
  const v = new Float64Array(batch * mimo_rank * d_inner);
  for (let i = 0; i < v.length; i++) {
    const [lane, p] = [Math.floor(i / headdim), i % headdim];
    const [b, r, h] = [
      Math.floor(lane / nheads / mimo_rank),
      Math.floor(lane / nheads) % mimo_rank,
      lane % nheads,
    ];
    v[i] = at(state.v, (b * nheads + h) * headdim + p) *
      (mimo_x === undefined ? 1 : at(mimo_x, (h * mimo_rank + r) * headdim + p));
  }
  const { y, ssm_state } = mamba3ScanFwd(
    steps,
    own("D"),
    { ssm_state: state.ssm_state, k: state.k, v },
    shape,
  );
  const gated = mamba3GateFwd({
    ...{ y, z },
    mimo_z: ofMimo("mimo_z"),
    mimo_o: ofMimo("mimo_o"),
    norm: config.is_outproj_norm ? own("norm.weight") : undefined,
  }, shape);
  const out = { rows, in: d_inner, out: d_model };
  return {
    y: matmulFwd(gated, own("out_proj.weight"), undefined, out, residual),
    state: {
      ssm_state,
      theta: lastSteps(steps.thetas, batch, seqlen),
      k: lastSteps(steps.k, batch, seqlen),
      v: lastSteps(value, batch, seqlen),
    },
  };
}

/** Of (batch, seqlen, ...), the last step. */
function lastSteps(values: Float64Array, batch: number, seqlen: number): Float64Array {
  const size = values.length / batch / seqlen;
  const last = new Float64Array(batch * size);
  for (let b = 0; b < batch; b++) {
    const end = (b + 1) * seqlen * size;
    last.set(values.subarray(end - size, end), b * size);
  }
  return last;
}
