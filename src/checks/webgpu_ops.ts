/** The ops of WebGPU, as checks call them. */

import { ssdCBFwd, ssdDecays, ssdPass, ssdScratch, ssdStates } from "../ops/ssd.ts";
import { mamba3Step } from "../ops/mamba3_step.ts";
import { selectiveScanFwd } from "../ops/selective_scan.ts";
import { chunkStatesSize } from "../ops/selective_scan_chunks.ts";
import { rowCopy, rowTable } from "../ops/row_copy.ts";
import { selectiveScanBwdSum } from "../ops/training/selective_scan_bwd.ts";
import { WEBGPU_OPS, type WebGpuKinds } from "../webgpu/op_set.ts";
import type { CheckedOps } from "./checked_ops.ts";
import { softplus } from "./webgpu_softplus.ts";

/** All ops but those of rates. */
export const CHECKED_WEBGPU_OPS: Omit<
  CheckedOps<WebGpuKinds>,
  "scanRates" | "scanRatesSize"
> = {
  ...WEBGPU_OPS,
  chunkStatesSize,
  mamba3Step,
  rowCopy,
  rowTable,
  selectiveScanBwdSum,
  // With chunks side by side wherever a check asks for them.
  selectiveScanFwd,
  softplus,
  ssdCBFwd,
  ssdDecays,
  ssdPass,
  ssdScratch,
  ssdStates,
};
