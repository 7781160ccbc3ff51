/** The ops of src/cpu/ops, as passes call them. */

import type { PassKinds } from "../passes/kinds.ts";
import type { OpSet } from "../passes/op_set.ts";
import type { CpuMatrix } from "./machine/matrix.ts";
import type { CpuProgram } from "./machine/program.ts";
import type { CpuTensor } from "./machine/tensor.ts";
import { channelMatmul } from "./ops/channel_matmul.ts";
import { conv1dFwd } from "./ops/conv1d.ts";
import { dtBCNormBwd, dtBCNormFwd } from "./ops/dt_bc_norm.ts";
import { embeddingFwd } from "./ops/embedding.ts";
import { gatedRmsNormFwd } from "./ops/gated_rms_norm.ts";
import { geluBwd, geluFwd } from "./ops/gelu.ts";
import { gluBwd, gluFwd } from "./ops/glu.ts";
import { linearFwd, matmulFwd, MATVEC_MAX_ROWS, matvecFwd } from "./ops/linear.ts";
import { mamba3GateFwd, mamba3Inputs, mamba3Scan, mamba3ScanScratch } from "./ops/mamba3.ts";
import { meanPoolFwd } from "./ops/mean_pool.ts";
import { rmsNormFwd } from "./ops/rms_norm.ts";
import { s4dPass, s4dSystem, s4Power, s4Scan, s4Series, s4System } from "./ops/s4.ts";
import { sampleFwd } from "./ops/sample.ts";
import {
  SCAN_CHUNK,
  scanRates,
  scanRatesShape,
  selectiveScanFwd,
  selectiveScanStep,
} from "./ops/selective_scan.ts";
import { SSD_CHUNK, ssdFwd, ssdStep } from "./ops/ssd.ts";
import { stateCopy } from "./ops/state_copy.ts";
import { swigluFwd } from "./ops/swiglu.ts";
import { tokenScoreFwd } from "./ops/token_score.ts";
import { adamwUpdate } from "./ops/training/adamw.ts";
import { channelCorrelate, channelOuter } from "./ops/training/channel_outer.ts";
import { conv1dBwd, conv1dBwdScratch } from "./ops/training/conv1d_bwd.ts";
import { crossEntropy } from "./ops/training/cross_entropy.ts";
import { dropout } from "./ops/training/dropout.ts";
import { embeddingBwd } from "./ops/training/embedding_bwd.ts";
import { gatedRmsNormBwd, gatedRmsNormBwdParts } from "./ops/training/gated_rms_norm_bwd.ts";
import { gradNorm } from "./ops/training/grad_norm.ts";
import { columnSum, matmulBwdW, matmulBwdX } from "./ops/training/linear_bwd.ts";
import { lastStepBwd, meanPoolBwd } from "./ops/training/mean_pool_bwd.ts";
import {
  mamba3GateBwd,
  mamba3InputsBwd,
  mamba3ScanBwd,
  mamba3ScanBwdScratch,
} from "./ops/training/mamba3_bwd.ts";
import { rmsNormBwd, rmsNormBwdParts } from "./ops/training/rms_norm_bwd.ts";
import {
  s4dPassBwd,
  s4dSystemBwd,
  s4PowerBwd,
  s4SeriesBwd,
  s4SystemBwd,
} from "./ops/training/s4_bwd.ts";
import { scanBwdScratch, selectiveScanBwd } from "./ops/training/selective_scan_bwd.ts";
import { ssdBwd, ssdBwdScratch } from "./ops/training/ssd_bwd.ts";
import { swigluBwd } from "./ops/training/swiglu_bwd.ts";
import { sumPartials } from "./ops/training/sum_partials.ts";

/** What the CPU records into and works on. */
export interface CpuKinds extends PassKinds {
  readonly program: CpuProgram;
  readonly tensor: CpuTensor;
  readonly matrix: CpuMatrix;
}

/** All of them. */
export const CPU_OPS: OpSet<CpuKinds> = {
  recomputes: false,
  adamwUpdate,
  channelCorrelate,
  // Channels are shared out, and columns added up in one.
  channelCorrelateScratch: () => 0,
  channelMatmul,
  channelOuter,
  channelOuterScratch: () => 0,
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
  embeddingBwdParts: () => 0,
  embeddingFwd,
  gatedRmsNormBwd,
  gatedRmsNormBwdParts,
  gatedRmsNormFwd,
  geluBwd,
  geluFwd,
  gluBwd,
  gluFwd,
  gradNorm,
  lastStepBwd,
  linearFwd,
  mamba3GateBwd,
  mamba3GateFwd,
  mamba3Inputs,
  mamba3InputsBwd,
  mamba3Scan,
  mamba3ScanBwd,
  mamba3ScanBwdScratch,
  mamba3ScanScratch,
  matmulBwdW,
  matmulBwdX,
  matmulFwd,
  MATVEC_MAX_ROWS,
  matvecFwd,
  // States go by fours, however many there are.
  MAX_SCAN_STATES: Infinity,
  meanPoolBwd,
  meanPoolFwd,
  rates: { shapeOf: scanRatesShape, record: scanRates },
  rmsNormBwd,
  rmsNormBwdParts,
  rmsNormFwd,
  // A third of the steps that go through at once.
  S4_CHUNK: 32,
  s4dPass,
  s4dPassBwd,
  s4dSystem,
  s4dSystemBwd,
  s4Power,
  s4PowerBwd,
  s4Scan,
  s4Series,
  s4SeriesBwd,
  s4System,
  s4SystemBwd,
  sampleFwd,
  // Steps go one after the other, and need none.
  scanActivations: () => ({ chunk_states: 0 }),
  SCAN_CHUNK,
  scanBwdScratch,
  selectiveScanBwd,
  selectiveScanFwd,
  selectiveScanStep,
  SSD_CHUNK,
  // The recurrence goes step by step, and needs none.
  ssdActivations: () => ({ decays: 0, CB: 0, states: 0 }),
  ssdBwd,
  // Of what the chunked form needs it needs nothing.
  ssdBwdScratch: (shape) => ({
    ...{ decays: 0, CB: 0, grad_CB: 0, grad_states: 0 },
    ...ssdBwdScratch(shape),
  }),
  ssdFwd,
  ssdStep,
  stateCopy,
  sumPartials,
  swigluBwd,
  swigluFwd,
  tokenScoreFwd,
};
