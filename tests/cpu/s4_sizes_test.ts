/** Past a tensor's end lies another's memory: every op of S4D and S4 refuses a tensor that is one element short. */

import { channelMatmul } from "../../src/cpu/ops/channel_matmul.ts";
import { geluBwd, geluFwd } from "../../src/cpu/ops/gelu.ts";
import { gluBwd, gluFwd } from "../../src/cpu/ops/glu.ts";
import { s4dPass, s4dSystem, s4Power, s4Scan, s4Series, s4System } from "../../src/cpu/ops/s4.ts";
import { channelCorrelate, channelOuter } from "../../src/cpu/ops/training/channel_outer.ts";
import {
  s4dPassBwd,
  s4dSystemBwd,
  s4PowerBwd,
  s4SeriesBwd,
  s4SystemBwd,
} from "../../src/cpu/ops/training/s4_bwd.ts";
import { LABEL, testSizes } from "./test_sizes.ts";

/** Five channels of three pairs. */
const SIZES = { d_model: 5, d_state: 6, label: LABEL };

/** Elements: of what each pair has one of, of what it has two of, and of both systems. */
const [ONE, TWO, DIAGONAL, LOW_RANK] = [3 * 5, 6 * 5, 2 * 6 * 5, (4 * 6 + 1) * 5];

/** K, O and R of chunks of four steps. */
const CHUNK = 4, TABLE = (4 + 2 * 4 * 6) * 5;

testSizes({
  name: "s4dSystem",
  sizes: { A_re: ONE, A_im: ONE, log_step: 5, system: DIAGONAL },
  record: (program, tensors) => s4dSystem(program, tensors, SIZES),
});

testSizes({
  name: "s4dSystemBwd",
  sizes: {
    ...{ A_re: ONE, A_im: ONE, log_step: 5, grad_system: DIAGONAL },
    ...{ grad_A_re: ONE, grad_A_im: ONE, grad_log_step: 5 },
  },
  record: (program, tensors) => s4dSystemBwd(program, tensors, SIZES),
});

testSizes({
  name: "s4System",
  sizes: { Lambda_re: ONE, Lambda_im: ONE, P: TWO, B: TWO, log_step: 5, system: LOW_RANK },
  record: (program, tensors) => s4System(program, tensors, SIZES),
});

testSizes({
  name: "s4SystemBwd",
  sizes: {
    ...{ system: LOW_RANK, Lambda_re: ONE, grad_system: LOW_RANK, grad_Lambda_re: ONE },
    ...{ grad_Lambda_im: ONE, grad_P: TWO, grad_B: TWO, grad_log_step: 5 },
  },
  record: (program, tensors) => s4SystemBwd(program, tensors, SIZES),
});

testSizes({
  name: "s4Power",
  sizes: { system: LOW_RANK, E: 36 * 5 },
  record: (program, tensors) => s4Power(program, tensors, { ...SIZES, steps: 4 }),
});

testSizes({
  name: "s4PowerBwd",
  sizes: { system: LOW_RANK, grad_Abar: 36 * 5, grad_system: LOW_RANK },
  record: (program, tensors) => s4PowerBwd(program, tensors, SIZES),
});

for (const lowRank of [false, true]) {
  const shape = { ...SIZES, chunk: CHUNK, lowRank };
  const kind = lowRank ? "S4" : "S4D";
  const system = lowRank ? LOW_RANK : DIAGONAL;
  const table = TABLE + (lowRank ? 0 : TWO);

  testSizes({
    name: `${kind}'s s4Series`,
    sizes: { system, C: TWO, D: 5, table },
    record: (program, tensors) => s4Series(program, tensors, shape),
  });

  testSizes({
    name: `${kind}'s s4SeriesBwd`,
    sizes: {
      ...{ system, C: TWO, table: TABLE, grad_table: table },
      ...{ grad_system: system, grad_C: TWO, grad_D: 5 },
    },
    record: (program, tensors) => s4SeriesBwd(program, tensors, shape),
  });

  testSizes({
    name: `${kind}'s s4Scan`,
    sizes: { system, C: TWO, D: 5, u: 2 * 9 * 5, states: 2 * 4 * TWO, y: 2 * 9 * 5 },
    record: (program, tensors) =>
      s4Scan(program, tensors, { ...shape, batch: 2, seqlen: 9, first: 4, slots: 4 }),
  });
}

testSizes({
  name: "s4dPass",
  sizes: { E: TWO, states: 2 * 4 * TWO },
  record: (program, tensors) =>
    s4dPass(program, tensors, { ...SIZES, batch: 2, slots: 4, count: 3, reverse: false }),
});

testSizes({
  name: "s4dPassBwd",
  sizes: { states: 2 * 4 * TWO, grad_states: 2 * 3 * TWO, grad_E: TWO },
  record: (program, tensors) =>
    s4dPassBwd(program, tensors, { ...SIZES, batch: 2, slots: 4, gradSlots: 3, count: 3 }),
});

/** Two sequences of nine steps by four, and the states of three slots. */
const STEPS = { ldBatch: 9, ldChunk: CHUNK, limit: 9 };
const SLOTS = { ldBatch: 18, ldChunk: 6, limit: 18 };
const PRODUCT = { batch: 2, chunks: 3, d_model: 5, label: LABEL };

for (const form of ["plain", "transposed"] as const) {
  testSizes({
    name: `${form} channelMatmul`,
    sizes: { x: 2 * 9 * 5, weight: 4 * 6 * 5, y: 2 * 18 * 5 },
    record: (program, tensors) =>
      channelMatmul(program, tensors, {
        ...{ ...PRODUCT, form, outer: 6, inner: CHUNK, x: STEPS, y: SLOTS },
      }),
  });
}

for (const form of ["convolution", "correlation"] as const) {
  testSizes({
    name: `channelMatmul of a ${form}`,
    sizes: { x: 2 * 9 * 5, weight: 4 * 5, y: 2 * 9 * 5 },
    record: (program, tensors) =>
      channelMatmul(program, tensors, {
        ...{ ...PRODUCT, form, outer: CHUNK, inner: CHUNK, x: STEPS, y: STEPS },
      }),
  });
}

testSizes({
  name: "channelOuter",
  sizes: { p: 2 * 9 * 5, q: 2 * 18 * 5, y: 4 * 6 * 5 },
  record: (program, tensors) =>
    channelOuter(program, tensors, { ...PRODUCT, outer: CHUNK, inner: 6, p: STEPS, q: SLOTS }),
});

testSizes({
  name: "channelCorrelate",
  sizes: { p: 2 * 9 * 5, q: 2 * 9 * 5, y: 4 * 5 },
  record: (program, tensors) =>
    channelCorrelate(program, tensors, { ...PRODUCT, rows: CHUNK, panel: STEPS }),
});

testSizes({
  name: "geluFwd",
  sizes: { x: 9, y: 9 },
  record: (program, tensors) => geluFwd(program, tensors, { size: 9, label: LABEL }),
});

testSizes({
  name: "geluBwd",
  sizes: { x: 9, grad: 9 },
  record: (program, tensors) => geluBwd(program, tensors, { size: 9, label: LABEL }),
});

testSizes({
  name: "gluFwd",
  sizes: { x: 2 * 15, y: 15 },
  record: (program, tensors) =>
    gluFwd(program, tensors, { rows: 3, d_model: 5, accumulate: false, label: LABEL }),
});

testSizes({
  name: "gluBwd",
  sizes: { grad_y: 15, x: 2 * 15 },
  record: (program, tensors) => gluBwd(program, tensors, { rows: 3, d_model: 5, label: LABEL }),
});
