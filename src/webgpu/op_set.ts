/** The ops of src/ops, as passes call them. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { SSD_CHUNK } from "../model/ssd_sizes.ts";
import { channelMatmul } from "../ops/channel_matmul.ts";
import { conv1dFwd } from "../ops/conv1d.ts";
import { dtBCNormBwd, dtBCNormFwd } from "../ops/dt_bc_norm.ts";
import { embeddingFwd } from "../ops/embedding.ts";
import { gatedRmsNormFwd } from "../ops/gated_rms_norm.ts";
import { geluBwd, geluFwd } from "../ops/gelu.ts";
import { gluBwd, gluFwd } from "../ops/glu.ts";
import { linearFwd, matmulFwd, MATVEC_MAX_ROWS } from "../ops/linear.ts";
import { mamba3GateFwd } from "../ops/mamba3_gate.ts";
import { mamba3Inputs } from "../ops/mamba3_inputs.ts";
import { mamba3Scan, mamba3ScanScratch } from "../ops/mamba3_scan.ts";
import { mamba3Step, takesMamba3Step } from "../ops/mamba3_step.ts";
import { matvecFwd } from "../ops/matvec.ts";
import type { Matrix } from "../ops/matrix.ts";
import { meanPoolFwd } from "../ops/mean_pool.ts";
import { rmsNormFwd } from "../ops/rms_norm.ts";
import { s4Power, s4Scan, s4Series, s4System } from "../ops/s4.ts";
import { s4dPass, s4dSystem } from "../ops/s4d.ts";
import { sampleFwd } from "../ops/sample.ts";
import { MAX_SCAN_STATES, SCAN_CHUNK } from "../ops/scan_lanes.ts";
import { selectiveScanFwd } from "../ops/selective_scan.ts";
import { chunkStatesWherePays, scanActivations } from "../ops/selective_scan_chunks.ts";
import { selectiveScanStep } from "../ops/selective_scan_step.ts";
import { ssdActivations, ssdFwd } from "../ops/ssd.ts";
import { ssdStep } from "../ops/ssd_step.ts";
import { stateCopy } from "../ops/state_copy.ts";
import { sumPartials } from "../ops/sum_partials.ts";
import { swigluFwd } from "../ops/swiglu.ts";
import { tokenScoreFwd } from "../ops/token_score.ts";
import { adamwUpdate } from "../ops/training/adamw.ts";
import {
  channelCorrelate,
  channelCorrelateScratch,
  channelOuter,
  channelOuterScratch,
} from "../ops/training/channel_outer.ts";
import { conv1dBwd, conv1dBwdScratch } from "../ops/training/conv1d_bwd.ts";
import { crossEntropy } from "../ops/training/cross_entropy.ts";
import { dropout } from "../ops/training/dropout.ts";
import { embeddingBwd, embeddingBwdParts } from "../ops/training/embedding_bwd.ts";
import { gatedRmsNormBwd, gatedRmsNormBwdParts } from "../ops/training/gated_rms_norm_bwd.ts";
import { gradNorm } from "../ops/training/grad_norm.ts";
import { columnSum, columnSumScratch, matmulBwdW, matmulBwdX } from "../ops/training/linear_bwd.ts";
import { lastStepBwd, meanPoolBwd } from "../ops/training/mean_pool_bwd.ts";
import { mamba3GateBwd } from "../ops/training/mamba3_gate_bwd.ts";
import { mamba3InputsBwd } from "../ops/training/mamba3_inputs_bwd.ts";
import { mamba3ScanBwd, mamba3ScanBwdScratch } from "../ops/training/mamba3_scan_bwd.ts";
import { rmsNormBwd, rmsNormBwdParts } from "../ops/training/rms_norm_bwd.ts";
import {
  s4dPassBwd,
  s4dSystemBwd,
  s4PowerBwd,
  s4SeriesBwd,
  s4SystemBwd,
} from "../ops/training/s4_bwd.ts";
import { scanBwdScratch, selectiveScanBwd } from "../ops/training/selective_scan_bwd.ts";
import { ssdBwd, ssdBwdScratch } from "../ops/training/ssd_bwd.ts";
import { swigluBwd } from "../ops/training/swiglu_bwd.ts";
import type { PassKinds } from "../passes/kinds.ts";
import type { OpSet } from "../passes/op_set.ts";

/** What WebGPU records into and works on. */
export interface WebGpuKinds extends PassKinds {
  readonly program: Program;
  readonly tensor: Tensor;
  readonly matrix: Matrix;
}

/** All of them but rates, which only pay where exponentials are dear. */
export const WEBGPU_OPS: OpSet<WebGpuKinds> = {
  // A norm takes as long to read as to compute.
  recomputes: true,
  adamwUpdate,
  channelCorrelate,
  channelCorrelateScratch,
  channelMatmul,
  channelOuter,
  channelOuterScratch,
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
  mamba3Steps: { takes: takesMamba3Step, record: mamba3Step },
  matmulBwdW,
  matmulBwdX,
  matmulFwd,
  MATVEC_MAX_ROWS,
  matvecFwd,
  MAX_SCAN_STATES,
  meanPoolBwd,
  meanPoolFwd,
  rmsNormBwd,
  rmsNormBwdParts,
  rmsNormFwd,
  S4_CHUNK: 64,
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
  SCAN_CHUNK,
  scanActivations,
  scanBwdScratch,
  selectiveScanBwd,
  selectiveScanFwd(program, tensors, shape) {
    const { chunk_states: scratch } = tensors;
    const chunk_states = scratch && chunkStatesWherePays(program, scratch, shape, shape);
    selectiveScanFwd(program, { ...tensors, chunk_states }, shape);
  },
  selectiveScanStep,
  SSD_CHUNK,
  ssdActivations,
  ssdBwd,
  ssdBwdScratch,
  ssdFwd,
  ssdStep,
  stateCopy,
  sumPartials,
  swigluBwd,
  swigluFwd,
  tokenScoreFwd,
};
