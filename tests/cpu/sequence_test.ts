/** What steps and threads must not change: not by a bit. */

import { assert, assertEquals } from "@std/assert";
import { type Cpu, openCpu } from "../../src/cpu/machine/module.ts";
import { conv1dFwd } from "../../src/cpu/ops/conv1d.ts";
import { gatedRmsNormFwd } from "../../src/cpu/ops/gated_rms_norm.ts";
import { meanPoolFwd } from "../../src/cpu/ops/mean_pool.ts";
import { selectiveScanFwd } from "../../src/cpu/ops/selective_scan.ts";
import { ssdFwd, ssdStep } from "../../src/cpu/ops/ssd.ts";
import { ssdWidths } from "../../src/model/ssd_sizes.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { type CpuTensor, createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { Random } from "../../src/checks/random.ts";

/** A tensor of a sequence, of which a part can be had. */
type Steps = (width: number) => CpuTensor;

interface SequenceOp {
  readonly name: string;
  /** Elements of the state, and of a step of the output. */
  readonly stateSize: number;
  readonly width: number;
  /** Records `seqlen` steps: `steps` makes inputs (seqlen, width), `weight` others. */
  readonly record: (
    program: CpuProgram,
    tensors: { steps: Steps; weight: Steps; state: CpuTensor; y: CpuTensor },
    seqlen: number,
  ) => void;
}

const SCAN = { d_inner: 53, d_state: 10, dt_rank: 3 };
const SSD = { nheads: 6, headdim: 7, d_state: 18, ngroups: 2 };
const CONV = { d_inner: 53, d_conv: 5 };

function ssdOp(name: string, isStep: boolean): SequenceOp {
  const { d_inner, conv_dim, d_in_proj } = ssdWidths(SSD);
  return {
    name,
    stateSize: d_inner * SSD.d_state,
    width: d_inner,
    record: (program, { steps, weight, state, y }, seqlen) => {
      const tensors = {
        xBC: steps(conv_dim),
        zxbcdt: steps(d_in_proj),
        A_log: weight(SSD.nheads),
        D: weight(SSD.nheads),
        dt_bias: weight(SSD.nheads),
        ssm_state: state,
        y,
      };
      const shape = { ...SSD, batch: 1, label: "ssd" };
      if (isStep && seqlen === 1) ssdStep(program, tensors, shape);
      else ssdFwd(program, tensors, { ...shape, seqlen });
    },
  };
}

const OPS: readonly SequenceOp[] = [
  {
    name: "conv1dFwd",
    stateSize: CONV.d_inner * CONV.d_conv,
    width: CONV.d_inner,
    record: (program, { steps, weight, state, y }, seqlen) => {
      const { d_inner, d_conv } = CONV;
      const weights = { weight: weight(d_inner * d_conv), bias: weight(d_inner) };
      const shape = { ...CONV, batch: 1, seqlen, label: "conv1d" };
      conv1dFwd(program, { x: steps(d_inner), ...weights, conv_state: state, y }, shape);
    },
  },
  {
    name: "selectiveScanFwd",
    stateSize: SCAN.d_inner * SCAN.d_state,
    width: SCAN.d_inner,
    record: (program, { steps, weight, state, y }, seqlen) => {
      const { d_inner, d_state, dt_rank } = SCAN;
      const tensors = {
        u: steps(d_inner),
        dt: steps(d_inner),
        x_dbl: steps(dt_rank + 2 * d_state),
        xz: steps(2 * d_inner),
        A_log: weight(d_inner * d_state),
        D: weight(d_inner),
        ssm_state: state,
        y,
      };
      selectiveScanFwd(program, tensors, { ...SCAN, batch: 1, seqlen, label: "scan" });
    },
  },
  ssdOp("ssdFwd", false),
  ssdOp("ssdStep", true),
  {
    name: "meanPoolFwd",
    stateSize: 2 * 53,
    width: 53,
    record: (program, { steps, state, y }, seqlen) => {
      const shape = { batch: 1, seqlen, d_model: 53, label: "pool" };
      meanPoolFwd(program, { x: steps(53), pool_state: state, y }, shape);
    },
  },
];

const SEQLEN = 37;

/** Runs the sequence in parts of these lengths, which repeat: y, then the state. */
function runInParts(cpu: Cpu, op: SequenceOp, lengths: readonly number[]): Float32Array {
  using made = new DisposableStack();
  const y = made.use(createCpuTensor(cpu, "y", [SEQLEN * op.width]));
  const state = made.use(createCpuTensor(cpu, "state", [op.stateSize]));
  state.write(new Random(1).uniform(op.stateSize, 0, 1));
  for (let done = 0, part = 0; done < SEQLEN; part++) {
    const seqlen = Math.min(lengths[part % lengths.length] ?? 1, SEQLEN - done);
    let seed = 2;
    const filled = (size: number) => {
      const tensor = made.use(createCpuTensor(cpu, "input", [size]));
      tensor.write(new Random(seed++).normal(size, 0.7));
      return tensor;
    };
    using program = new CpuProgram(cpu);
    op.record(program, {
      steps: (width) => filled(SEQLEN * width).view(done * width * 4, [seqlen * width]),
      weight: filled,
      state,
      y: y.view(done * op.width * 4, [seqlen * op.width]),
    }, seqlen);
    program.run();
    done += seqlen;
  }
  return Float32Array.of(...y.read(), ...state.read());
}

for (const op of OPS) {
  Deno.test(`${op.name}() gives the same bits in any split of a sequence`, async () => {
    using cpu = await openCpu();
    const whole = runInParts(cpu, op, [SEQLEN]);
    assert(whole.every(Number.isFinite));
    for (const lengths of [[1], [2], [3, 1], [16, 21], [36], [4, 5, 6]]) {
      assertEquals(runInParts(cpu, op, lengths), whole, `parts of ${lengths.join(", ")}`);
    }
  });
}

/** Runs an op of several items a chunk and several chunks over and over, while threads come to help. */
Deno.test("ops along the sequence give the same bits on any number of threads", async () => {
  using cpu = await openCpu({ threads: 3 });
  for (const op of OPS) {
    cpu.setThreads(1);
    const expected = runInParts(cpu, op, [SEQLEN]);
    for (let run = 0; run < 30; run++) {
      cpu.setThreads(run % 3 + 1);
      assertEquals(runInParts(cpu, op, run % 2 === 0 ? [SEQLEN] : [1, 7]), expected, op.name);
      if (run % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
});

Deno.test("gatedRmsNormFwd() gives the same bits on any number of threads", async () => {
  using cpu = await openCpu({ threads: 3 });
  using made = new DisposableStack();
  const [rows, d_inner] = [67, 520];
  const filled = (size: number, seed: number) => {
    const tensor = made.use(createCpuTensor(cpu, "input", [size]));
    tensor.write(new Random(seed).normal(size));
    return tensor;
  };
  const out = made.use(createCpuTensor(cpu, "out", [rows * d_inner]));
  const tensors = {
    y: filled(rows * d_inner, 1),
    z: filled(rows * d_inner, 2),
    weight: filled(d_inner, 3),
    out,
  };
  const program = made.use(new CpuProgram(cpu));
  const shape = { rows, d_inner, group_size: 130, eps: 1e-5, norm_before_gate: false };
  gatedRmsNormFwd(program, tensors, { ...shape, label: "norm" });
  cpu.setThreads(1);
  program.run();
  const expected = out.read();
  for (let run = 0; run < 60; run++) {
    cpu.setThreads(run % 3 + 1);
    out.write(new Float32Array(out.size).fill(NaN));
    program.run();
    assertEquals(out.read(), expected);
    if (run % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
});
