import { conv1dFwd } from "../../src/cpu/ops/conv1d.ts";
import { ODD, SEQUENCE_CASES } from "../../src/checks/cases.ts";
import { Random } from "../../src/checks/random.ts";
import { conv1dFwd as reference } from "../../src/checks/reference/conv1d.ts";
import { checkOp, type CpuCheck, ELEMENTWISE, EXACT } from "./cpu_check.ts";

interface Conv1dCase {
  readonly name: string;
  readonly shape: { readonly d_inner: number; readonly d_conv: number };
  readonly batch: number;
  readonly seqlen: number;
  readonly initialState: boolean;
  readonly bias: boolean;
  /** First column of x in its rows of 2 d_inner; default 0. */
  readonly xOffset?: number;
}

const CASES: readonly Conv1dCase[] = [
  ...SEQUENCE_CASES,
  // Around the tile of 32 steps.
  ...[31, 32, 33, 97].map((seqlen) => ({
    name: `odd sizes, batch 2, seqlen ${seqlen}`,
    shape: ODD,
    batch: 2,
    seqlen,
    initialState: true,
    bias: true,
  })),
  ...[[8, 3], [16, 40], [29, 65], [32, 33], [33, 65], [34, 65], [40, 7], [70, 200]].map((
    [d_conv = 0, seqlen = 0],
  ) => ({
    name: `d_conv ${d_conv}, seqlen ${seqlen}`,
    shape: { d_inner: 65, d_conv },
    batch: 2,
    seqlen,
    initialState: true,
    bias: true,
  })),
  {
    name: "columns from 156 on",
    shape: ODD,
    batch: 2,
    seqlen: 35,
    initialState: true,
    bias: true,
    xOffset: 156,
  },
];

/** Checks of conv1dFwd(), with x as half of each row of xz. */
export const CONV1D_CHECKS: readonly CpuCheck[] = CASES.map((each, seed) => ({
  op: "conv1dFwd",
  name: each.name,
  run: checkOp((run) => {
    const { batch, seqlen, shape: { d_inner, d_conv }, xOffset = 0 } = each;
    const random = new Random(seed);
    const ldX = 2 * d_inner;
    const x = random.normal(batch * seqlen * d_inner);
    const xz = new Float32Array(batch * seqlen * ldX).fill(NaN);
    for (let row = 0; row < batch * seqlen; row++) {
      xz.set(x.subarray(row * d_inner, (row + 1) * d_inner), xOffset + row * ldX);
    }
    const weight = random.normal(d_inner * d_conv, 1 / Math.sqrt(d_conv));
    const bias = each.bias ? random.normal(d_inner, 0.3) : undefined;
    const state = random.normal(batch * d_inner * d_conv, each.initialState ? 1 : 0);

    const conv_state = run.state(state);
    const y = run.output(batch * seqlen * d_inner);
    const tensors = { x: run.input(xz), weight: run.input(weight), conv_state, y };
    conv1dFwd(run.program, { ...tensors, bias: bias && run.input(bias) }, {
      batch,
      seqlen,
      d_inner,
      d_conv,
      ldX,
      xOffset,
      label: "check",
    });
    const expected = reference(x, weight, bias, state, { batch, seqlen, d_inner, d_conv });
    run.expect("y", y, expected.y, ELEMENTWISE);
    run.expect("conv_state", conv_state, expected.conv_state, EXACT);
  }),
}));
