/** The ops of the CPU, as checks call them. */

import type { CpuKinds } from "../cpu/op_set.ts";
import { CPU_OPS } from "../cpu/op_set.ts";
import { scanRates, scanRatesShape } from "../cpu/ops/selective_scan.ts";
import { selectiveScanBwdSum } from "../cpu/ops/training/selective_scan_bwd.ts";
import { elementCount } from "../model/shapes.ts";
import type { CheckedOps } from "./checked_ops.ts";
import { type OwningProgram, softplus } from "./cpu_softplus.ts";

/** What checks on the CPU record into and work on. */
export interface CheckedCpuKinds extends CpuKinds {
  readonly program: OwningProgram;
}

/** All that there are. */
export const CHECKED_CPU_OPS = {
  ...CPU_OPS,
  scanRates,
  scanRatesSize: (sizes) => elementCount(scanRatesShape(sizes)),
  selectiveScanBwdSum,
  softplus,
  // The recurrence goes step by step, and needs none.
  ssdScratch: () => ({ decays: 0, CB: 0, states: 0 }),
} satisfies Partial<CheckedOps<CheckedCpuKinds>>;
