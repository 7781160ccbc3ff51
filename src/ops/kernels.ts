/** Every kernel there is, for the checks that go over all of them. */

import type { Kernel } from "../gpu/kernel.ts";
import { adamwUpdateKernel } from "./training/adamw.ts";
import { channelMatmulKernel } from "./channel_matmul.ts";
import { channelCorrelateKernel, channelOuterKernel } from "./training/channel_outer.ts";
import { conv1dFwdKernel } from "./conv1d.ts";
import { conv1dBwdKernel } from "./training/conv1d_bwd.ts";
import { crossEntropyKernel } from "./training/cross_entropy.ts";
import { dropoutKernel } from "./training/dropout.ts";
import { dtBCNormBwdKernel, dtBCNormFwdKernel } from "./dt_bc_norm.ts";
import { embeddingFwdKernel } from "./embedding.ts";
import { gridProbeKernel } from "./grid_probe.ts";
import { embeddingBwdKernel } from "./training/embedding_bwd.ts";
import { gatedRmsNormFwdKernel } from "./gated_rms_norm.ts";
import { gatedRmsNormBwdKernel } from "./training/gated_rms_norm_bwd.ts";
import { geluBwdKernel, geluFwdKernel } from "./gelu.ts";
import { gluBwdKernel, gluFwdKernel } from "./glu.ts";
import { clipFactorKernel, sumOfSquaresKernel } from "./training/grad_norm.ts";
import { mamba3GateFwdKernel } from "./mamba3_gate.ts";
import { mamba3AnglesKernel, mamba3RatesKernel, mamba3VkqKernel } from "./mamba3_inputs.ts";
import { mamba3CarryKernel, mamba3DecaysKernel, mamba3SkipKernel } from "./mamba3_scan.ts";
import { mamba3MimoStepKernel, mamba3StepKernel, mamba3TurnKernel } from "./mamba3_step.ts";
import { matmulFwdKernel, matmulSplitFwdKernel } from "./linear.ts";
import { matvecFwdKernel } from "./matvec.ts";
import { columnSumKernel, matmulBwdWKernel, matmulBwdXKernel } from "./training/linear_bwd.ts";
import { matvecRowsKernel } from "./matvec_rows.ts";
import { matvecTilesKernel } from "./matvec_tiles.ts";
import { meanPoolFwdKernel } from "./mean_pool.ts";
import { meanPoolBwdKernel } from "./training/mean_pool_bwd.ts";
import { rmsNormFwdKernel } from "./rms_norm.ts";
import { mamba3GateBwdKernel } from "./training/mamba3_gate_bwd.ts";
import {
  mamba3AnglesBwdKernel,
  mamba3BiasBwdKernel,
  mamba3NormBwdKernel,
  mamba3RatesBwdKernel,
  mamba3VkqBwdKernel,
} from "./training/mamba3_inputs_bwd.ts";
import {
  mamba3CarryBwdKernel,
  mamba3DecaysBwdKernel,
  mamba3MimoXBwdKernel,
  mamba3SkipBwdKernel,
} from "./training/mamba3_scan_bwd.ts";
import { swigluBwdKernel } from "./training/swiglu_bwd.ts";
import { rmsNormBwdKernel } from "./training/rms_norm_bwd.ts";
import { rowCopyKernel } from "./row_copy.ts";
import { s4PowerKernel, s4ScanKernel, s4SeriesKernel, s4SystemKernel } from "./s4.ts";
import { s4dPassKernel, s4dSystemKernel } from "./s4d.ts";
import {
  s4dPassBwdKernel,
  s4dSystemBwdKernel,
  s4PowerBwdKernel,
  s4SeriesBwdKernel,
  s4SystemBwdKernel,
} from "./training/s4_bwd.ts";
import { sampleFwdKernel } from "./sample.ts";
import { selectiveScanFwdKernel } from "./selective_scan.ts";
import { selectiveScanChunksKernel, selectiveScanPassKernel } from "./selective_scan_chunks.ts";
import { selectiveScanRowsKernel, selectiveScanStepKernel } from "./selective_scan_step.ts";
import {
  selectiveScanBwdKernel,
  selectiveScanBwdSumKernel,
} from "./training/selective_scan_bwd.ts";
import {
  ssdCBFwdKernel,
  ssdDecaysKernel,
  ssdPassKernel,
  ssdStatesKernel,
  ssdYFwdKernel,
} from "./ssd.ts";
import { ssdDtBwdKernel } from "./training/ssd_bwd.ts";
import { ssdSumsBwdKernel } from "./training/ssd_sums_bwd.ts";
import { ssdBCBwdKernel, ssdCBBwdKernel, ssdXBwdKernel } from "./training/ssd_xbc_bwd.ts";
import { ssdStepKernel } from "./ssd_step.ts";
import { stateCopyKernel } from "./state_copy.ts";
import { stepMamba1Kernel } from "./step_mamba1.ts";
import { stepMamba2Kernel } from "./step_mamba2.ts";
import { sumPartialsKernel } from "./sum_partials.ts";
import { swigluFwdKernel } from "./swiglu.ts";
import { tokenScoreFwdKernel } from "./token_score.ts";

/** All kernels. */
export const ALL_KERNELS: readonly Pick<
  Kernel,
  "name" | "source" | "preludes" | "bindings" | "params" | "overrides"
>[] = [
  embeddingFwdKernel,
  rmsNormFwdKernel,
  matvecFwdKernel,
  matvecRowsKernel,
  matvecTilesKernel,
  matmulFwdKernel,
  matmulSplitFwdKernel,
  conv1dFwdKernel,
  selectiveScanFwdKernel,
  selectiveScanChunksKernel,
  selectiveScanPassKernel,
  selectiveScanStepKernel,
  selectiveScanRowsKernel,
  dtBCNormFwdKernel,
  ssdStepKernel,
  ssdDecaysKernel,
  ssdCBFwdKernel,
  ssdStatesKernel,
  ssdPassKernel,
  ssdYFwdKernel,
  mamba3RatesKernel,
  mamba3AnglesKernel,
  mamba3VkqKernel,
  mamba3DecaysKernel,
  mamba3CarryKernel,
  mamba3SkipKernel,
  mamba3TurnKernel,
  mamba3StepKernel,
  mamba3MimoStepKernel,
  mamba3GateFwdKernel,
  swigluFwdKernel,
  gatedRmsNormFwdKernel,
  s4dSystemKernel,
  s4SystemKernel,
  s4PowerKernel,
  s4SeriesKernel,
  s4ScanKernel,
  channelMatmulKernel,
  s4dPassKernel,
  geluFwdKernel,
  gluFwdKernel,
  meanPoolFwdKernel,
  sampleFwdKernel,
  tokenScoreFwdKernel,
  gridProbeKernel,
  stepMamba1Kernel,
  stepMamba2Kernel,
  embeddingBwdKernel,
  rmsNormBwdKernel,
  meanPoolBwdKernel,
  conv1dBwdKernel,
  selectiveScanBwdKernel,
  selectiveScanBwdSumKernel,
  dtBCNormBwdKernel,
  ssdXBwdKernel,
  ssdCBBwdKernel,
  ssdBCBwdKernel,
  ssdSumsBwdKernel,
  ssdDtBwdKernel,
  mamba3GateBwdKernel,
  mamba3SkipBwdKernel,
  mamba3DecaysBwdKernel,
  mamba3CarryBwdKernel,
  mamba3MimoXBwdKernel,
  mamba3VkqBwdKernel,
  mamba3NormBwdKernel,
  mamba3AnglesBwdKernel,
  mamba3RatesBwdKernel,
  mamba3BiasBwdKernel,
  swigluBwdKernel,
  gatedRmsNormBwdKernel,
  gluBwdKernel,
  geluBwdKernel,
  channelOuterKernel,
  channelCorrelateKernel,
  s4dPassBwdKernel,
  s4SeriesBwdKernel,
  s4dSystemBwdKernel,
  s4PowerBwdKernel,
  s4SystemBwdKernel,
  crossEntropyKernel,
  dropoutKernel,
  sumOfSquaresKernel,
  clipFactorKernel,
  adamwUpdateKernel,
  sumPartialsKernel,
  stateCopyKernel,
  rowCopyKernel,
  matmulBwdXKernel,
  matmulBwdWKernel,
  columnSumKernel,
];
