/**
 * `bench cpu_train`: what the CPU's training ops take, at the sizes of a small model.
 *
 * --op         those whose name has this (default: all)
 * --threads    how many (default 1)
 */

import { parseArgs } from "@std/cli/parse-args";
import { rowMatrix } from "../../src/cpu/machine/matrix.ts";
import { openCpu } from "../../src/cpu/machine/module.ts";
import { adamwUpdate } from "../../src/cpu/ops/training/adamw.ts";
import { conv1dBwd, conv1dBwdScratch } from "../../src/cpu/ops/training/conv1d_bwd.ts";
import { crossEntropy } from "../../src/cpu/ops/training/cross_entropy.ts";
import { matmulFwd } from "../../src/cpu/ops/linear.ts";
import { matmulBwdW, matmulBwdX } from "../../src/cpu/ops/training/linear_bwd.ts";
import { rmsNormBwd, rmsNormBwdParts } from "../../src/cpu/ops/training/rms_norm_bwd.ts";
import { keptStates, selectiveScanFwd } from "../../src/cpu/ops/selective_scan.ts";
import { scanBwdScratch, selectiveScanBwd } from "../../src/cpu/ops/training/selective_scan_bwd.ts";
import { SSD_CHUNK, ssdFwd, ssdSlots } from "../../src/cpu/ops/ssd.ts";
import { ssdWidths } from "../../src/model/ssd_sizes.ts";
import { ssdBwd, ssdBwdScratch } from "../../src/cpu/ops/training/ssd_bwd.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { type CpuTensor, createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { cpuName, medianTime } from "./cpu_time.ts";
import { randomUniform } from "./random_weights.ts";
import { type Result, round } from "./result.ts";

/** A batch of a small model: `train text` with d_model 64. */
const BATCH = { batch: 16, seqlen: 128 };
const ROWS = BATCH.batch * BATCH.seqlen;
const MAMBA1 = { d_inner: 128, d_state: 16, dt_rank: 4 };
const MAMBA2 = { nheads: 4, headdim: 32, d_state: 64, ngroups: 1 };

type Make = (length: number) => CpuTensor;

interface OpBench {
  readonly name: string;
  /** Operations of one call, where they are what counts. */
  readonly flops?: number;
  /** Elements or states of one call. */
  readonly count?: number;
  readonly record: (program: CpuProgram, make: Make) => void;
}

function products(d_in: number, out: number): OpBench[] {
  const flops = 2 * ROWS * d_in * out;
  const shape = { rows: ROWS, label: "product" };
  const matrix = (program: CpuProgram, make: Make) =>
    rowMatrix(program.cpu, make(out * d_in), [out, d_in]);
  return [
    {
      ...{ name: `matmul_fwd, ${d_in} to ${out}`, flops },
      record: (program, make) => {
        const [x, y] = [make(ROWS * d_in), make(ROWS * out)];
        matmulFwd(program, { x, weight: matrix(program, make), y }, shape);
      },
    },
    {
      ...{ name: `matmul_bwd_x, ${d_in} to ${out}`, flops },
      record: (program, make) => {
        const [grad_y, grad_x] = [make(ROWS * out), make(ROWS * d_in)];
        matmulBwdX(program, { grad_y, weight: matrix(program, make), grad_x }, shape);
      },
    },
    {
      ...{ name: `matmul_bwd_w, ${d_in} to ${out}`, flops },
      record: (program, make) => {
        const [grad_y, x] = [make(ROWS * out), make(ROWS * d_in)];
        matmulBwdW(program, { grad_y, x, grad_weight: matrix(program, make) }, shape);
      },
    },
  ];
}

function scans(): OpBench[] {
  const { d_inner, d_state, dt_rank } = MAMBA1;
  const [line, width] = [ROWS * d_inner, ROWS * (dt_rank + 2 * d_state)];
  const count = line * d_state;
  const states = BATCH.batch * d_inner * d_state;
  const shape = { ...BATCH, ...MAMBA1, label: "scan" };
  const inputs = (make: Make) => ({
    ...{ u: make(line), dt: make(line), x_dbl: make(width), xz: make(2 * line), D: make(d_inner) },
    ...{ A_log: make(d_inner * d_state), ssm_state: make(states * keptStates(BATCH.seqlen)) },
  });
  return [
    {
      ...{ name: "selective_scan_fwd, states kept", count },
      record: (program, make) =>
        selectiveScanFwd(program, { ...inputs(make), y: make(line) }, { ...shape, keep: true }),
    },
    {
      ...{ name: "selective_scan_bwd", count },
      record: (program, make) => {
        const scratch = scanBwdScratch(shape);
        selectiveScanBwd(program, {
          ...inputs(make),
          ...{ grad_y: make(line), grad_xz: make(2 * line), grad_x_dbl: make(width) },
          ...{ grad_A_log: make(d_inner * d_state), grad_D: make(d_inner) },
          ...{ grad_state: make(states), partials_BC: make(scratch.partials_BC) },
          partials_params: make(scratch.partials_params),
        }, { ...shape, gradFinal: false });
      },
    },
  ];
}

function recurrences(): OpBench[] {
  const { nheads, d_state } = MAMBA2;
  const { d_inner, conv_dim, d_in_proj } = ssdWidths(MAMBA2);
  const count = ROWS * d_inner * d_state;
  const states = BATCH.batch * d_inner * d_state;
  const shape = { ...BATCH, ...MAMBA2, chunk: SSD_CHUNK, label: "ssd" };
  const inputs = (make: Make) => ({
    ...{ xBC: make(ROWS * conv_dim), zxbcdt: make(ROWS * d_in_proj), A_log: make(nheads) },
    ...{ D: make(nheads), dt_bias: make(nheads) },
    ssm_state: make(states * ssdSlots(BATCH.seqlen, SSD_CHUNK)),
  });
  return [
    {
      ...{ name: "ssd_fwd, states kept", count },
      record: (program, make) =>
        ssdFwd(program, { ...inputs(make), y: make(ROWS * d_inner) }, shape),
    },
    {
      ...{ name: "ssd_bwd", count },
      record: (program, make) => {
        const { sums, partials } = ssdBwdScratch(shape);
        ssdBwd(program, {
          ...inputs(make),
          ...{ grad_y: make(ROWS * d_inner), grad_xBC: make(ROWS * conv_dim) },
          ...{
            grad_zxbcdt: make(ROWS * d_in_proj),
            grad_A_log: make(nheads),
            grad_D: make(nheads),
          },
          ...{ grad_dt_bias: make(nheads), grad_state: make(states) },
          ...{ sums: make(sums), partials: make(partials) },
        }, { ...shape, gradFinal: false });
      },
    },
  ];
}

const CONV1D_BWD: OpBench = {
  name: "conv1d_bwd, d_conv 4",
  count: ROWS * MAMBA1.d_inner,
  record: (program, make) => {
    const shape = { ...BATCH, d_inner: MAMBA1.d_inner, d_conv: 4 };
    const { d_inner, d_conv } = shape;
    const window = BATCH.batch * d_inner * d_conv;
    conv1dBwd(program, {
      ...{ x: make(2 * ROWS * d_inner), weight: make(d_inner * d_conv), bias: make(d_inner) },
      ...{ conv_state: make(window), grad_y: make(ROWS * d_inner) },
      ...{ grad_x: make(2 * ROWS * d_inner), grad_conv_state: make(window) },
      ...{ grad_weight: make(d_inner * d_conv), grad_bias: make(d_inner) },
      partials: make(conv1dBwdScratch(shape)),
    }, { ...shape, ldX: 2 * d_inner, ldGradX: 2 * d_inner, label: "conv1d" });
  },
};

const NORM_BWD: OpBench = {
  name: "rms_norm_bwd",
  count: ROWS * 64,
  record: (program, make) =>
    rmsNormBwd(program, {
      ...{ x: make(ROWS * 64), weight: make(64), grad_y: make(ROWS * 64), grad_x: make(ROWS * 64) },
      ...{ partials: make(rmsNormBwdParts(ROWS) * 64), grad_weight: make(64) },
    }, { rows: ROWS, d_model: 64, eps: 1e-5, accumulateX: true, label: "norm" }),
};

const LOSS: OpBench = {
  name: "cross_entropy, vocabulary 256",
  count: ROWS * 256,
  record: (program, make) => {
    const targets = make(ROWS);
    targets.write(new Uint32Array(ROWS).fill(7));
    crossEntropy(program, { logits: make(ROWS * 256), targets, loss: make(ROWS) }, {
      ...{ rows: ROWS, vocab_size: 256, real_vocab_size: 256, scale: 1, label: "loss" },
    });
  },
};

const UPDATE: OpBench = {
  name: "adamw_update, 2^20 parameters",
  count: 2 ** 20,
  record: (program, make) => {
    const size = 2 ** 20;
    const [weight, grad, m, v] = [make(size), make(size), make(size), make(size)];
    v.clear();
    adamwUpdate(program, { weight, grad, m, v, clip: make(2), schedule: make(3) }, {
      ...{ size, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, label: "adamw" },
    });
  },
};

const BENCHES: readonly OpBench[] = [
  ...products(64, 256),
  ...products(128, 64),
  ...products(512, 512),
  ...scans(),
  ...recurrences(),
  CONV1D_BWD,
  NORM_BWD,
  LOSS,
  UPDATE,
];

/** Runs the benchmark; `--op` takes the ops whose names contain it, `--threads` is 1 by default. */
export async function* cpuTrain(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["op", "threads"],
    default: { op: "", threads: "1" },
  });
  const threads = Number(options.threads);
  for (const { name, flops, count, record } of BENCHES) {
    if (!name.includes(options.op)) continue;
    using cpu = await openCpu({ threads });
    using resources = new DisposableStack();
    const program = resources.use(new CpuProgram(cpu));
    record(program, (length) => {
      const tensor = resources.use(createCpuTensor(cpu, "bench", [length]));
      tensor.write(randomUniform(length, length));
      return tensor;
    });
    const milliseconds = await medianTime(() => program.run());
    yield {
      bench: "cpu_train",
      device: cpuName(cpu),
      op: name,
      threads,
      microseconds: round(milliseconds * 1000, 1),
      ...flops === undefined ? {} : { gigaflopsPerSecond: round(flops / milliseconds / 1e6, 1) },
      ...count === undefined ? {} : { nanosecondsPerElement: round(milliseconds * 1e6 / count, 3) },
    };
  }
}
