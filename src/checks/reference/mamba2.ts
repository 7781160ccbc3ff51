/** The Mamba-2 mixer, put together from the ops of this folder. */

import { conv1dFwd } from "./conv1d.ts";
import { gatedRmsNormFwd } from "./gated_rms_norm.ts";
import { columns } from "./columns.ts";
import type { BatchShape, BlockState, MambaConfig } from "./mamba.ts";
import { matmulFwd } from "./matmul.ts";
import { ssdFwd } from "./ssd.ts";

/** What the equations of Mamba-2 need beside the other fields of the config. */
export interface HeadsConfig {
  nheads: number;
  headdim: number;
  ngroups: number;
  dt_limit: readonly [number, number];
  rmsnorm: boolean;
  norm_before_gate: boolean;
}

/** Channels that conv1d has: those of [x, B, C]. */
export function convChannels({ d_inner, d_state, heads }: MambaConfig): number {
  return d_inner + 2 * (heads?.ngroups ?? 0) * d_state;
}

/**
 * y = residual + out_proj(norm(ssd(conv1d(in_proj(x))))). Rows of in_proj are [z, x, B, C, dt].
 *
 * @param own Finds a tensor of the mixer by the last part of its name
 * @param x (batch, seqlen, d_model): the residual stream, after the block's first norm
 */
export function mamba2MixerFwd(
  own: (name: string) => ArrayLike<number>,
  config: MambaConfig & { heads: HeadsConfig },
  x: ArrayLike<number>,
  residual: ArrayLike<number>,
  { batch, seqlen }: BatchShape,
  state: BlockState,
): { y: Float64Array; state: BlockState } {
  const { d_model, d_inner, d_state, d_conv, norm_epsilon: eps, heads } = config;
  const { nheads, headdim, ngroups, dt_limit, rmsnorm, norm_before_gate } = heads;
  const rows = batch * seqlen;
  const bias = (name: string) => config.use_bias ? own(name) : undefined;
  const conv_dim = convChannels(config);
  const width = d_inner + conv_dim + nheads;

  const zxbcdt = matmulFwd(x, own("in_proj.weight"), bias("in_proj.bias"), {
    rows,
    in: d_model,
    out: width,
  });
  const conv = conv1dFwd(
    columns(zxbcdt, width, d_inner, d_inner + conv_dim),
    own("conv1d.weight"),
    config.use_conv_bias ? own("conv1d.bias") : undefined,
    state.conv_state,
    { batch, seqlen, d_inner: conv_dim, d_conv },
  );
  const B_start = d_inner;
  const C_start = d_inner + ngroups * d_state;
  const ssd = ssdFwd({
    x: columns(conv.y, conv_dim, 0, d_inner),
    B: columns(conv.y, conv_dim, B_start, C_start),
    C: columns(conv.y, conv_dim, C_start, conv_dim),
    dt: columns(zxbcdt, width, d_inner + conv_dim, width),
    dt_bias: own("dt_bias"),
    A_log: own("A_log"),
    D: own("D"),
    ssm_state: state.ssm_state,
  }, { batch, seqlen, nheads, headdim, d_state, ngroups, dt_limit });
  const gated = gatedRmsNormFwd(
    ssd.y,
    columns(zxbcdt, width, 0, d_inner),
    rmsnorm ? own("norm.weight") : undefined,
    { rows, d_inner, group_size: d_inner / ngroups, eps, norm_before_gate },
  );
  const y = matmulFwd(gated, own("out_proj.weight"), bias("out_proj.bias"), {
    rows,
    in: d_inner,
    out: d_model,
  }, residual);
  return { y, state: { conv_state: conv.conv_state, ssm_state: ssd.ssm_state } };
}
