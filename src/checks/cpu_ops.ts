/** The ops of src/cpu/ops, as checks call them. */

import type { CpuMatrix } from "../cpu/matrix.ts";
import { conv1dFwd } from "../cpu/ops/conv1d.ts";
import { dtBCNormFwd } from "../cpu/ops/dt_bc_norm.ts";
import { embeddingFwd } from "../cpu/ops/embedding.ts";
import { gatedRmsNormFwd } from "../cpu/ops/gated_rms_norm.ts";
import { matmulFwd, MATVEC_MAX_ROWS, matvecFwd } from "../cpu/ops/linear.ts";
import { meanPoolFwd } from "../cpu/ops/mean_pool.ts";
import { rmsNormFwd } from "../cpu/ops/rms_norm.ts";
import { sampleFwd } from "../cpu/ops/sample.ts";
import {
  scanRates,
  scanRatesShape,
  selectiveScanFwd,
  selectiveScanStep,
} from "../cpu/ops/selective_scan.ts";
import { ssdFwd, ssdStep } from "../cpu/ops/ssd.ts";
import { tokenScoreFwd } from "../cpu/ops/token_score.ts";
import { type CpuTensor, elementCount } from "../cpu/tensor.ts";
import { type OwningProgram, softplus } from "./cpu_softplus.ts";
import type { OpSet } from "./op_set.ts";

/** The ops of inference: the CPU executor does not train. */
export const CPU_OPS = {
  conv1dFwd,
  dtBCNormFwd,
  embeddingFwd,
  gatedRmsNormFwd,
  matmulFwd,
  MATVEC_MAX_ROWS,
  matvecFwd,
  meanPoolFwd,
  rmsNormFwd,
  sampleFwd,
  scanRates,
  scanRatesSize: (shape) => elementCount(scanRatesShape(shape)),
  selectiveScanFwd,
  selectiveScanStep,
  softplus,
  ssdFwd,
  // The recurrence goes step by step, and needs none.
  ssdScratch: () => ({ decays: 0, CB: 0, states: 0 }),
  ssdStep,
  tokenScoreFwd,
} satisfies Partial<OpSet<OwningProgram, CpuTensor, CpuMatrix>>;
