/** What an op record asks for. Compiled by both sides, the module's and Deno's: one line an op, numbers stand once. */
export enum OpKind {
  embedding_fwd,
  matvec_fwd,
  matmul_fwd,
  rms_norm_fwd,
  gated_rms_norm_fwd,
  dt_bc_norm_fwd,
  conv1d_fwd,
  selective_scan_fwd,
  selective_scan_step,
  ssd_fwd,
  mean_pool_fwd,
  token_score_fwd,
  sample_fwd,
  scan_rates,
}
