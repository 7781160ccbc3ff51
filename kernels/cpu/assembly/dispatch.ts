// Which function computes which op: one line an op.

import { OpKind } from "../op_kind";
import { adamwUpdate } from "./adamw_update";
import { channelCorrelate } from "./channel_correlate";
import { channelMatmul } from "./channel_matmul";
import { channelOuter } from "./channel_outer";
import { columnSum } from "./column_sum";
import { conv1dBwd } from "./conv1d_bwd";
import { conv1dFwd } from "./conv1d_fwd";
import { crossEntropy } from "./cross_entropy";
import { dropout } from "./dropout";
import { dtBCNormBwd } from "./dt_bc_norm_bwd";
import { dtBCNormFwd } from "./dt_bc_norm_fwd";
import { embeddingBwd } from "./embedding_bwd";
import { embeddingFwd } from "./embedding_fwd";
import { gatedRmsNormBwd } from "./gated_rms_norm_bwd";
import { gatedRmsNormFwd } from "./gated_rms_norm_fwd";
import { geluBwd, geluFwd } from "./gelu";
import { gluBwd, gluFwd } from "./glu";
import { clipFactor, sumSquares } from "./grad_norm";
import { mamba3Inputs } from "./mamba3_inputs";
import { mamba3Scan } from "./mamba3_scan";
import { mamba3Carry } from "./mamba3_carry";
import { mamba3GateFwd } from "./mamba3_gate_fwd";
import { mamba3GateBwd } from "./mamba3_gate_bwd";
import { mamba3MimoXBwd } from "./mamba3_mimo_x_bwd";
import { mamba3ScanBwd } from "./mamba3_scan_bwd";
import { mamba3VkqBwd } from "./mamba3_vkq_bwd";
import { mamba3NormBwd } from "./mamba3_norm_bwd";
import { mamba3RatesBwd } from "./mamba3_rates_bwd";
import { mamba3BiasBwd } from "./mamba3_bias_bwd";
import { matmulFwd } from "./matmul_fwd";
import { matvecFwd } from "./matvec_fwd";
import { meanPoolBwd } from "./mean_pool_bwd";
import { meanPoolFwd } from "./mean_pool_fwd";
import { product } from "./product";
import { kindOf } from "./record";
import { rmsNormBwd } from "./rms_norm_bwd";
import { rmsNormFwd } from "./rms_norm_fwd";
import { s4Power } from "./s4_power";
import { s4PowerBwd } from "./s4_power_bwd";
import { s4Scan } from "./s4_scan";
import { s4Series } from "./s4_series";
import { s4SeriesBwd } from "./s4_series_bwd";
import { s4System } from "./s4_system";
import { s4SystemBwd } from "./s4_system_bwd";
import { s4dPass } from "./s4d_pass";
import { s4dPassBwd } from "./s4d_pass_bwd";
import { s4dSystem } from "./s4d_system";
import { s4dSystemBwd } from "./s4d_system_bwd";
import { sampleFwd } from "./sample_fwd";
import { scanRates } from "./scan_rates";
import { selectiveScanBwd } from "./selective_scan_bwd";
import { selectiveScanBwdSum } from "./selective_scan_bwd_sum";
import { selectiveScanFwd } from "./selective_scan_fwd";
import { selectiveScanStep } from "./selective_scan_step";
import { ssdBwd } from "./ssd_bwd";
import { ssdFwd } from "./ssd_fwd";
import { stateCopy } from "./state_copy";
import { sumPartials } from "./sum_partials";
import { swigluBwd } from "./swiglu_bwd";
import { swigluFwd } from "./swiglu_fwd";
import { tokenScoreFwd } from "./token_score_fwd";

/** Computes items [begin, end) of the op at `rec`. */
export function dispatch(rec: usize, begin: u32, end: u32): void {
  switch (kindOf(rec)) {
    case OpKind.embedding_fwd:
      return embeddingFwd(rec, begin, end);
    case OpKind.matvec_fwd:
      return matvecFwd(rec, begin, end);
    case OpKind.matmul_fwd:
      return matmulFwd(rec, begin, end);
    case OpKind.rms_norm_fwd:
      return rmsNormFwd(rec, begin, end);
    case OpKind.gated_rms_norm_fwd:
      return gatedRmsNormFwd(rec, begin, end);
    case OpKind.dt_bc_norm_fwd:
      return dtBCNormFwd(rec, begin, end);
    case OpKind.conv1d_fwd:
      return conv1dFwd(rec, begin, end);
    case OpKind.selective_scan_fwd:
      return selectiveScanFwd(rec, begin, end);
    case OpKind.selective_scan_step:
      return selectiveScanStep(rec, begin, end);
    case OpKind.ssd_fwd:
      return ssdFwd(rec, begin, end);
    case OpKind.mean_pool_fwd:
      return meanPoolFwd(rec, begin, end);
    case OpKind.token_score_fwd:
      return tokenScoreFwd(rec, begin, end);
    case OpKind.sample_fwd:
      return sampleFwd(rec, begin, end);
    case OpKind.scan_rates:
      return scanRates(rec, begin, end);
    case OpKind.product:
      return product(rec, begin, end);
    case OpKind.column_sum:
      return columnSum(rec, begin, end);
    case OpKind.sum_partials:
      return sumPartials(rec, begin, end);
    case OpKind.embedding_bwd:
      return embeddingBwd(rec, begin, end);
    case OpKind.rms_norm_bwd:
      return rmsNormBwd(rec, begin, end);
    case OpKind.cross_entropy:
      return crossEntropy(rec, begin, end);
    case OpKind.sum_of_squares:
      return sumSquares(rec, begin, end);
    case OpKind.clip_factor:
      return clipFactor(rec);
    case OpKind.adamw_update:
      return adamwUpdate(rec, begin, end);
    case OpKind.conv1d_bwd:
      return conv1dBwd(rec, begin, end);
    case OpKind.selective_scan_bwd:
      return selectiveScanBwd(rec, begin, end);
    case OpKind.selective_scan_bwd_sum:
      return selectiveScanBwdSum(rec, begin, end);
    case OpKind.dt_bc_norm_bwd:
      return dtBCNormBwd(rec, begin, end);
    case OpKind.gated_rms_norm_bwd:
      return gatedRmsNormBwd(rec, begin, end);
    case OpKind.mean_pool_bwd:
      return meanPoolBwd(rec, begin, end);
    case OpKind.dropout:
      return dropout(rec, begin, end);
    case OpKind.state_copy:
      return stateCopy(rec, begin, end);
    case OpKind.ssd_bwd:
      return ssdBwd(rec, begin, end);
    case OpKind.mamba3_inputs:
      return mamba3Inputs(rec, begin, end);
    case OpKind.mamba3_scan:
      return mamba3Scan(rec, begin, end);
    case OpKind.mamba3_carry:
      return mamba3Carry(rec, begin, end);
    case OpKind.mamba3_gate_fwd:
      return mamba3GateFwd(rec, begin, end);
    case OpKind.swiglu_fwd:
      return swigluFwd(rec, begin, end);
    case OpKind.channel_matmul:
      return channelMatmul(rec, begin, end);
    case OpKind.channel_outer:
      return channelOuter(rec, begin, end);
    case OpKind.channel_correlate:
      return channelCorrelate(rec, begin, end);
    case OpKind.s4d_system:
      return s4dSystem(rec, begin, end);
    case OpKind.s4d_system_bwd:
      return s4dSystemBwd(rec, begin, end);
    case OpKind.s4_system:
      return s4System(rec, begin, end);
    case OpKind.s4_system_bwd:
      return s4SystemBwd(rec, begin, end);
    case OpKind.s4_series:
      return s4Series(rec, begin, end);
    case OpKind.s4_series_bwd:
      return s4SeriesBwd(rec, begin, end);
    case OpKind.s4_power:
      return s4Power(rec, begin, end);
    case OpKind.s4_power_bwd:
      return s4PowerBwd(rec, begin, end);
    case OpKind.s4d_pass:
      return s4dPass(rec, begin, end);
    case OpKind.s4d_pass_bwd:
      return s4dPassBwd(rec, begin, end);
    case OpKind.s4_scan:
      return s4Scan(rec, begin, end);
    case OpKind.gelu_fwd:
      return geluFwd(rec, begin, end);
    case OpKind.gelu_bwd:
      return geluBwd(rec, begin, end);
    case OpKind.glu_fwd:
      return gluFwd(rec, begin, end);
    case OpKind.glu_bwd:
      return gluBwd(rec, begin, end);
    case OpKind.mamba3_gate_bwd:
      return mamba3GateBwd(rec, begin, end);
    case OpKind.mamba3_scan_bwd:
      return mamba3ScanBwd(rec, begin, end);
    case OpKind.mamba3_mimo_x_bwd:
      return mamba3MimoXBwd(rec, begin, end);
    case OpKind.mamba3_vkq_bwd:
      return mamba3VkqBwd(rec, begin, end);
    case OpKind.mamba3_norm_bwd:
      return mamba3NormBwd(rec, begin, end);
    case OpKind.mamba3_rates_bwd:
      return mamba3RatesBwd(rec, begin, end);
    case OpKind.mamba3_bias_bwd:
      return mamba3BiasBwd(rec, begin, end);
    case OpKind.swiglu_bwd:
      return swigluBwd(rec, begin, end);
    default:
      unreachable();
  }
}
