/** The ops of src/ops, as checks call them. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { adamwUpdate, encodeAdamwSchedule } from "../ops/training/adamw.ts";
import { conv1dFwd } from "../ops/conv1d.ts";
import { conv1dBwd, conv1dBwdScratch } from "../ops/training/conv1d_bwd.ts";
import { crossEntropy, IGNORED_TARGET } from "../ops/training/cross_entropy.ts";
import { dropout } from "../ops/training/dropout.ts";
import { dtBCNormBwd, dtBCNormFwd } from "../ops/dt_bc_norm.ts";
import { embeddingFwd } from "../ops/embedding.ts";
import { embeddingBwd, embeddingBwdParts } from "../ops/training/embedding_bwd.ts";
import { gatedRmsNormFwd } from "../ops/gated_rms_norm.ts";
import { gatedRmsNormBwd, gatedRmsNormBwdParts } from "../ops/training/gated_rms_norm_bwd.ts";
import { CLIP_SIZE, gradNorm, gradNormParts, NORM_PART } from "../ops/training/grad_norm.ts";
import { matmulFwd, matvecFwd } from "../ops/linear.ts";
import { columnSum, columnSumScratch, matmulBwdW, matmulBwdX } from "../ops/training/linear_bwd.ts";
import type { Matrix } from "../ops/matrix.ts";
import { meanPoolFwd } from "../ops/mean_pool.ts";
import { lastStepBwd, meanPoolBwd } from "../ops/training/mean_pool_bwd.ts";
import { rmsNormFwd } from "../ops/rms_norm.ts";
import { rmsNormBwd, rmsNormBwdParts } from "../ops/training/rms_norm_bwd.ts";
import { rowCopy, rowTable } from "../ops/row_copy.ts";
import { sampleFwd } from "../ops/sample.ts";
import { SCAN_CHUNK, selectiveScanFwd, selectiveScanStep } from "../ops/selective_scan.ts";
import {
  scanBwdScratch,
  selectiveScanBwd,
  selectiveScanBwdSum,
} from "../ops/training/selective_scan_bwd.ts";
import { ssdCBFwd, ssdDecays, ssdFwd, ssdPass, ssdScratch, ssdStates } from "../ops/ssd.ts";
import { ssdBwd, ssdBwdScratch } from "../ops/training/ssd_bwd.ts";
import { ssdStep } from "../ops/ssd_step.ts";
import { stateCopy } from "../ops/state_copy.ts";
import { sumPartials } from "../ops/training/sum_partials.ts";
import { tokenScoreFwd } from "../ops/token_score.ts";
import type { OpSet } from "./op_set.ts";
import { softplus } from "./webgpu_softplus.ts";

/** All ops but those of rates, which only pay where exponentials are dear. */
export const WEBGPU_OPS: Omit<
  OpSet<Program, Tensor, Matrix>,
  "scanRates" | "scanRatesSize"
> = {
  adamwUpdate,
  CLIP_SIZE,
  columnSum,
  columnSumScratch,
  conv1dBwd,
  conv1dBwdScratch,
  conv1dFwd,
  crossEntropy,
  dropout,
  dtBCNormBwd,
  dtBCNormFwd,
  embeddingBwd,
  embeddingBwdParts,
  embeddingFwd,
  encodeAdamwSchedule,
  gatedRmsNormBwd,
  gatedRmsNormBwdParts,
  gatedRmsNormFwd,
  gradNorm,
  gradNormParts,
  IGNORED_TARGET,
  lastStepBwd,
  matmulBwdW,
  matmulBwdX,
  matmulFwd,
  matvecFwd,
  meanPoolBwd,
  meanPoolFwd,
  NORM_PART,
  rmsNormBwd,
  rmsNormBwdParts,
  rmsNormFwd,
  rowCopy,
  rowTable,
  sampleFwd,
  SCAN_CHUNK,
  scanBwdScratch,
  selectiveScanBwd,
  selectiveScanBwdSum,
  selectiveScanFwd,
  selectiveScanStep,
  softplus,
  ssdBwd,
  ssdBwdScratch,
  ssdCBFwd,
  ssdDecays,
  ssdFwd,
  ssdPass,
  ssdScratch,
  ssdStates,
  ssdStep,
  stateCopy,
  sumPartials,
  tokenScoreFwd,
};
