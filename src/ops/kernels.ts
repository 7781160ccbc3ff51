/** Every kernel there is, for the checks that go over all of them. */

import type { Kernel } from "../gpu/kernel.ts";
import { conv1dFwdKernel } from "./conv1d.ts";
import { embeddingFwdKernel } from "./embedding.ts";
import { matmulFwdKernel, matvecFwdKernel } from "./linear.ts";
import { meanPoolFwdKernel } from "./mean_pool.ts";
import { rmsNormFwdKernel } from "./rms_norm.ts";
import { sampleFwdKernel } from "./sample.ts";
import { selectiveScanFwdKernel, selectiveScanStepKernel } from "./selective_scan.ts";
import { sumPartialsKernel } from "./sum_partials.ts";
import { tokenScoreFwdKernel } from "./token_score.ts";

/** All kernels. */
export const ALL_KERNELS: readonly Pick<
  Kernel,
  "name" | "source" | "bindings" | "params" | "overrides"
>[] = [
  embeddingFwdKernel,
  rmsNormFwdKernel,
  matvecFwdKernel,
  matmulFwdKernel,
  conv1dFwdKernel,
  selectiveScanFwdKernel,
  selectiveScanStepKernel,
  meanPoolFwdKernel,
  sampleFwdKernel,
  tokenScoreFwdKernel,
  sumPartialsKernel,
];
