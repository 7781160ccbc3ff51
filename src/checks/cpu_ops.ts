/** The ops of src/cpu/ops, as checks call them. */

import type { CpuMatrix } from "../cpu/matrix.ts";
import { adamwUpdate, encodeAdamwSchedule } from "../cpu/ops/training/adamw.ts";
import { conv1dFwd } from "../cpu/ops/conv1d.ts";
import { conv1dBwd, conv1dBwdScratch } from "../cpu/ops/training/conv1d_bwd.ts";
import { crossEntropy, IGNORED_TARGET } from "../cpu/ops/training/cross_entropy.ts";
import { dropout } from "../cpu/ops/training/dropout.ts";
import { dtBCNormBwd, dtBCNormFwd } from "../cpu/ops/dt_bc_norm.ts";
import { embeddingFwd } from "../cpu/ops/embedding.ts";
import { embeddingBwd } from "../cpu/ops/training/embedding_bwd.ts";
import { gatedRmsNormFwd } from "../cpu/ops/gated_rms_norm.ts";
import { gatedRmsNormBwd, gatedRmsNormBwdParts } from "../cpu/ops/training/gated_rms_norm_bwd.ts";
import { CLIP_SIZE, gradNorm, gradNormParts, NORM_PART } from "../cpu/ops/training/grad_norm.ts";
import { matmulFwd, matvecFwd } from "../cpu/ops/linear.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "../cpu/ops/training/linear_bwd.ts";
import { meanPoolFwd } from "../cpu/ops/mean_pool.ts";
import { lastStepBwd, meanPoolBwd } from "../cpu/ops/training/mean_pool_bwd.ts";
import { rmsNormFwd } from "../cpu/ops/rms_norm.ts";
import { rmsNormBwd, rmsNormBwdParts } from "../cpu/ops/training/rms_norm_bwd.ts";
import { sampleFwd } from "../cpu/ops/sample.ts";
import {
  SCAN_CHUNK,
  scanRates,
  scanRatesShape,
  selectiveScanFwd,
  selectiveScanStep,
} from "../cpu/ops/selective_scan.ts";
import {
  scanBwdScratch,
  selectiveScanBwd,
  selectiveScanBwdSum,
} from "../cpu/ops/training/selective_scan_bwd.ts";
import { ssdFwd, ssdStep } from "../cpu/ops/ssd.ts";
import { ssdBwd, ssdBwdScratch } from "../cpu/ops/training/ssd_bwd.ts";
import { stateCopy } from "../cpu/ops/state_copy.ts";
import { sumPartials } from "../cpu/ops/training/sum_partials.ts";
import { tokenScoreFwd } from "../cpu/ops/token_score.ts";
import { type CpuTensor, elementCount } from "../cpu/tensor.ts";
import { type OwningProgram, softplus } from "./cpu_softplus.ts";
import type { OpSet } from "./op_set.ts";

/** The ops that the CPU has. */
export const CPU_OPS = {
  adamwUpdate,
  CLIP_SIZE,
  columnSum,
  // Rows are added up in one.
  columnSumScratch: () => 0,
  conv1dBwd,
  conv1dBwdScratch,
  conv1dFwd,
  crossEntropy,
  dropout,
  dtBCNormBwd,
  dtBCNormFwd,
  embeddingBwd,
  // Columns are shared out, not rows.
  embeddingBwdParts: () => 1,
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
  sampleFwd,
  SCAN_CHUNK,
  scanBwdScratch,
  scanRates,
  scanRatesSize: (shape) => elementCount(scanRatesShape(shape)),
  selectiveScanBwd,
  selectiveScanBwdSum,
  selectiveScanFwd,
  selectiveScanStep,
  softplus,
  ssdBwd,
  // Of what the chunked form needs it needs nothing.
  ssdBwdScratch: (shape) => ({
    ...{ decays: 0, CB: 0, grad_CB: 0, grad_states: 0 },
    ...ssdBwdScratch(shape),
  }),
  ssdFwd,
  // The recurrence goes step by step, and needs none.
  ssdScratch: () => ({ decays: 0, CB: 0, states: 0 }),
  ssdStep,
  stateCopy,
  sumPartials,
  tokenScoreFwd,
} satisfies Partial<OpSet<OwningProgram, CpuTensor, CpuMatrix>>;
