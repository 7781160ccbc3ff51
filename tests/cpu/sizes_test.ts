/** Past a tensor's end lies another's memory: every op refuses a tensor that is one element short. */

import { conv1dFwd } from "../../src/cpu/ops/conv1d.ts";
import { dtBCNormFwd } from "../../src/cpu/ops/dt_bc_norm.ts";
import { gatedRmsNormFwd } from "../../src/cpu/ops/gated_rms_norm.ts";
import { meanPoolFwd } from "../../src/cpu/ops/mean_pool.ts";
import { rmsNormFwd } from "../../src/cpu/ops/rms_norm.ts";
import { sampleFwd } from "../../src/cpu/ops/sample.ts";
import { scanRates, selectiveScanFwd } from "../../src/cpu/ops/selective_scan.ts";
import { ssdFwd, ssdStep } from "../../src/cpu/ops/ssd.ts";
import { tokenScoreFwd } from "../../src/cpu/ops/token_score.ts";
import { RING } from "../../src/model/sampler.ts";
import { LABEL, testSizes } from "./test_sizes.ts";

testSizes({
  name: "rmsNormFwd",
  sizes: { x: 3 + 11 + 7, weight: 7, y: 14 },
  record: (program, tensors) =>
    rmsNormFwd(program, tensors, {
      ...{ rows: 2, d_model: 7, eps: 1e-5, ldX: 11, xOffset: 3, label: LABEL },
    }),
});

testSizes({
  name: "gatedRmsNormFwd",
  sizes: { y: 16, z: 1 + 9 + 8, weight: 8, out: 16 },
  record: (program, tensors) =>
    gatedRmsNormFwd(program, tensors, {
      ...{ rows: 2, d_inner: 8, group_size: 4, eps: 1e-5, norm_before_gate: false },
      ...{ ldZ: 9, zOffset: 1, label: LABEL },
    }),
});

testSizes({
  name: "dtBCNormFwd",
  sizes: { x_dbl: 2 * (3 + 2 * 5) },
  record: (program, tensors) =>
    dtBCNormFwd(program, tensors, { rows: 2, dt_rank: 3, d_state: 5, eps: 1e-5, label: LABEL }),
});

testSizes({
  name: "conv1dFwd",
  sizes: { x: 4 + 5 * 12 + 7, weight: 21, bias: 7, conv_state: 42, y: 42 },
  record: (program, tensors) =>
    conv1dFwd(program, tensors, {
      ...{ batch: 2, seqlen: 3, d_inner: 7, d_conv: 3, ldX: 12, xOffset: 4, label: LABEL },
    }),
});

const SCAN = { d_inner: 17, d_state: 5, dt_rank: 3, label: LABEL };

testSizes({
  name: "selectiveScanFwd",
  sizes: {
    ...{ u: 6 * 17, dt: 6 * 17, x_dbl: 6 * 13, xz: 6 * 34, A_log: 85, rates: 2 * 8 * 16 },
    ...{ D: 17, ssm_state: 2 * 85, y: 6 * 17 },
  },
  record: (program, tensors) =>
    selectiveScanFwd(program, tensors, { ...SCAN, batch: 2, seqlen: 3 }),
});

testSizes({
  name: "scanRates",
  sizes: { A_log: 85, rates: 2 * 8 * 16 },
  record: (program, tensors) => scanRates(program, tensors, SCAN),
});

const SSD = { nheads: 4, headdim: 3, d_state: 5, ngroups: 2, batch: 2, label: LABEL };
/** Those that a step and a sequence have in common. */
const SSD_WEIGHTS = { A_log: 4, dt_bias: 4, ssm_state: 2 * 12 * 5 };

testSizes({
  name: "ssdFwd",
  sizes: { ...SSD_WEIGHTS, xBC: 6 * 32, zxbcdt: 6 * 48, D: 4, y: 6 * 12 },
  record: (program, tensors) => ssdFwd(program, tensors, { ...SSD, seqlen: 3 }),
});

testSizes({
  name: "ssdStep",
  sizes: { ...SSD_WEIGHTS, xBC: 12 + 48 + 32, zxbcdt: 2 * 48, D: 12, y: 2 * 12 },
  record: (program, tensors) =>
    ssdStep(program, tensors, { ...SSD, D_has_hdim: true, ldXBC: 48, xBCOffset: 12 }),
});

testSizes({
  name: "meanPoolFwd",
  sizes: { x: 30, pool_state: 20, y: 30 },
  record: (program, tensors) =>
    meanPoolFwd(program, tensors, { batch: 2, seqlen: 3, d_model: 5, label: LABEL }),
});

testSizes({
  name: "tokenScoreFwd",
  sizes: { logits: 27, targets: 3, y: 9 },
  record: (program, tensors) =>
    tokenScoreFwd(program, tensors, { rows: 3, vocab_size: 9, real_vocab_size: 7, label: LABEL }),
});

testSizes({
  name: "sampleFwd",
  sizes: { settings: 16, logits: 66, seen: 4, tokens: 2, draws: 2, ring: 2 * RING * 2 },
  record: (program, tensors) =>
    sampleFwd(program, tensors, { batch: 2, vocab_size: 33, real_vocab_size: 30, label: LABEL }),
});
