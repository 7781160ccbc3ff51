/** Every kernel against its oracle: what tests assert, and what runChecks() runs on the user's device. */

import { ADAMW_CHECKS } from "./ops/adamw_checks.ts";
import { CHANNEL_CHECKS } from "./ops/channel_checks.ts";
import { CONV1D_BWD_CHECKS } from "./ops/conv1d_bwd_checks.ts";
import { CONV1D_CHECKS } from "./ops/conv1d_checks.ts";
import { CROSS_ENTROPY_CHECKS } from "./ops/cross_entropy_checks.ts";
import { DROPOUT_CHECKS } from "./ops/dropout_checks.ts";
import { DT_BC_NORM_CHECKS } from "./ops/dt_bc_norm_checks.ts";
import { EMBEDDING_BWD_CHECKS } from "./ops/embedding_bwd_checks.ts";
import { EMBEDDING_CHECKS } from "./ops/embedding_checks.ts";
import { GATED_RMS_NORM_CHECKS } from "./ops/gated_rms_norm_checks.ts";
import { GATED_UNIT_CHECKS } from "./ops/gated_unit_checks.ts";
import { GRAD_NORM_CHECKS } from "./ops/grad_norm_checks.ts";
import type { KernelCheck } from "./kernel_check.ts";
import { LINEAR_CHECKS } from "./ops/linear_checks.ts";
import { MEAN_POOL_BWD_CHECKS } from "./ops/mean_pool_bwd_checks.ts";
import { LINEAR_BWD_CHECKS } from "./ops/linear_bwd_checks.ts";
import { MAMBA3_BWD_CHECKS } from "./ops/mamba3_bwd_checks.ts";
import { MAMBA3_CHECKS } from "./ops/mamba3_checks.ts";
import { MAMBA3_PIECES_CHECKS } from "./ops/mamba3_pieces_checks.ts";
import { MEAN_POOL_CHECKS } from "./ops/mean_pool_checks.ts";
import { RMS_NORM_BWD_CHECKS } from "./ops/rms_norm_bwd_checks.ts";
import { RMS_NORM_CHECKS } from "./ops/rms_norm_checks.ts";
import { S4_BWD_CHECKS } from "./ops/s4_bwd_checks.ts";
import { S4_CHECKS } from "./ops/s4_checks.ts";
import { SAMPLE_CHECKS } from "./ops/sample_checks.ts";
import { SELECTIVE_SCAN_BWD_CHECKS } from "./ops/selective_scan_bwd_checks.ts";
import { SELECTIVE_SCAN_CHECKS } from "./ops/selective_scan_checks.ts";
import { SOFTPLUS_CHECKS } from "./ops/softplus_checks.ts";
import { SSD_BWD_CHECKS } from "./ops/ssd_bwd_checks.ts";
import { SSD_BWD_PARTS_CHECKS } from "./ops/ssd_bwd_parts_checks.ts";
import { SSD_CHECKS } from "./ops/ssd_checks.ts";
import { SSD_PARTS_CHECKS } from "./ops/ssd_parts_checks.ts";
import { ROW_COPY_CHECKS } from "./ops/row_copy_checks.ts";
import { STATE_COPY_CHECKS } from "./ops/state_copy_checks.ts";
import { SUM_PARTIALS_CHECKS } from "./ops/sum_partials_checks.ts";
import { TOKEN_SCORE_CHECKS } from "./ops/token_score_checks.ts";

export type { KernelCheck, Measurement } from "./kernel_check.ts";

/** All checks. */
export const KERNEL_CHECKS: readonly KernelCheck[] = [
  ...SOFTPLUS_CHECKS,
  ...EMBEDDING_CHECKS,
  ...RMS_NORM_CHECKS,
  ...LINEAR_CHECKS,
  ...CONV1D_CHECKS,
  ...SELECTIVE_SCAN_CHECKS,
  ...DT_BC_NORM_CHECKS,
  ...SSD_PARTS_CHECKS,
  ...SSD_CHECKS,
  ...MAMBA3_CHECKS,
  ...MAMBA3_PIECES_CHECKS,
  ...GATED_RMS_NORM_CHECKS,
  ...S4_CHECKS,
  ...CHANNEL_CHECKS,
  ...GATED_UNIT_CHECKS,
  ...MEAN_POOL_CHECKS,
  ...SAMPLE_CHECKS,
  ...TOKEN_SCORE_CHECKS,
  ...EMBEDDING_BWD_CHECKS,
  ...RMS_NORM_BWD_CHECKS,
  ...MEAN_POOL_BWD_CHECKS,
  ...CONV1D_BWD_CHECKS,
  ...SELECTIVE_SCAN_BWD_CHECKS,
  ...SSD_BWD_PARTS_CHECKS,
  ...SSD_BWD_CHECKS,
  ...MAMBA3_BWD_CHECKS,
  ...S4_BWD_CHECKS,
  ...CROSS_ENTROPY_CHECKS,
  ...DROPOUT_CHECKS,
  ...GRAD_NORM_CHECKS,
  ...ADAMW_CHECKS,
  ...SUM_PARTIALS_CHECKS,
  ...ROW_COPY_CHECKS,
  ...STATE_COPY_CHECKS,
  ...LINEAR_BWD_CHECKS,
];
