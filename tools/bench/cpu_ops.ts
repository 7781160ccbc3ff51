/**
 * `bench cpu_ops`: what the CPU's ops beside its matrix products take: recurrences, convolution, norms, sampler.
 *
 * --op         those whose name has this (default: all)
 * --threads    how many (default 1)
 */

import { parseArgs } from "@std/cli/parse-args";
import { createCpuMatrix, writeMatrixRows } from "../../src/cpu/machine/matrix.ts";
import { type Cpu, openCpu } from "../../src/cpu/machine/module.ts";
import { conv1dFwd } from "../../src/cpu/ops/conv1d.ts";
import { gatedRmsNormFwd } from "../../src/cpu/ops/gated_rms_norm.ts";
import { rmsNormFwd } from "../../src/cpu/ops/rms_norm.ts";
import { sampleFwd } from "../../src/cpu/ops/sample.ts";
import { RING } from "../../src/model/sampler.ts";
import {
  scanRates,
  selectiveScanFwd,
  selectiveScanStep,
} from "../../src/cpu/ops/selective_scan.ts";
import { ssdFwd, ssdStep } from "../../src/cpu/ops/ssd.ts";
import { ssdWidths } from "../../src/model/ssd_sizes.ts";
import { tokenScoreFwd } from "../../src/cpu/ops/token_score.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { type CpuTensor, createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { cpuName, medianTime } from "./cpu_time.ts";
import { randomUniform } from "./random_weights.ts";
import { type Result, round } from "./result.ts";

/** state-spaces/mamba-130m. */
const MAMBA1 = { d_inner: 1536, d_state: 16, dt_rank: 48 };

/** state-spaces/mamba2-130m. */
const MAMBA2 = { nheads: 24, headdim: 64, d_state: 128, ngroups: 1 };

/** Makes a tensor of uniform numbers, of their words, or of one word. */
type Make = (length: number, fill?: { readonly word: number }) => CpuTensor;

interface OpBench {
  readonly name: string;
  /** What the time is divided by, and what of; default: it is of one call. */
  readonly count: number;
  readonly unit?: "State" | "Element";
  readonly record: (program: CpuProgram, make: Make, cpu: Cpu) => void;
}

function scan(seqlen: number): OpBench {
  const { d_inner, d_state, dt_rank } = MAMBA1;
  return {
    name: `selective_scan_fwd, ${seqlen} steps`,
    count: seqlen * d_inner * d_state,
    unit: "State",
    record: (program, make) =>
      selectiveScanFwd(program, {
        u: make(seqlen * d_inner),
        dt: make(seqlen * d_inner),
        x_dbl: make(seqlen * (dt_rank + 2 * d_state)),
        xz: make(seqlen * 2 * d_inner),
        A_log: make(d_inner * d_state),
        D: make(d_inner),
        ssm_state: make(d_inner * d_state),
        y: make(seqlen * d_inner),
      }, { ...MAMBA1, batch: 1, seqlen, label: "scan" }),
  };
}

function scanStep(hasRates: boolean): OpBench {
  const { d_inner, d_state, dt_rank } = MAMBA1;
  return {
    name: hasRates ? "selective_scan_step, rates given" : "selective_scan_step",
    count: d_inner * d_state,
    unit: "State",
    record: (program, make, cpu) => {
      const dt_weight = createCpuMatrix(cpu, "dt_proj", [d_inner, dt_rank], { dtype: "f32" });
      writeMatrixRows(dt_weight, 0, randomUniform(d_inner * dt_rank, 1));
      const A_log = make(d_inner * d_state);
      const rates = hasRates ? make(d_inner * d_state) : undefined;
      if (rates !== undefined) {
        using once = new CpuProgram(cpu);
        scanRates(once, { A_log, rates }, { ...MAMBA1, label: "rates" });
        once.run();
      }
      selectiveScanStep(program, {
        xz: make(2 * d_inner),
        x_dbl: make(dt_rank + 2 * d_state),
        dt_weight,
        dt_bias: make(d_inner),
        A_log,
        rates,
        D: make(d_inner),
        ssm_state: make(d_inner * d_state),
        y: make(d_inner),
      }, { ...MAMBA1, batch: 1, label: "scan" });
    },
  };
}

function ssd(seqlen: number): OpBench {
  const { d_inner, conv_dim, d_in_proj } = ssdWidths(MAMBA2);
  const { nheads, d_state } = MAMBA2;
  return {
    name: seqlen > 1 ? `ssd_fwd, ${seqlen} steps` : "ssd_step",
    count: seqlen * d_inner * d_state,
    unit: "State",
    record: (program, make) => {
      const tensors = {
        xBC: make(seqlen * conv_dim),
        zxbcdt: make(seqlen * d_in_proj),
        A_log: make(nheads),
        D: make(nheads),
        dt_bias: make(nheads),
        ssm_state: make(d_inner * d_state),
        y: make(seqlen * d_inner),
      };
      const shape = { ...MAMBA2, batch: 1, label: "ssd" };
      if (seqlen > 1) ssdFwd(program, tensors, { ...shape, seqlen });
      else ssdStep(program, tensors, { ...shape, gated: true });
    },
  };
}

function conv1d(d_conv: number, seqlen: number): OpBench {
  const { d_inner } = MAMBA1;
  return {
    name: `conv1d_fwd, d_conv ${d_conv}, ${seqlen} steps`,
    count: seqlen * d_inner,
    unit: "Element",
    record: (program, make) =>
      conv1dFwd(program, {
        x: make(seqlen * 2 * d_inner),
        weight: make(d_inner * d_conv),
        bias: make(d_inner),
        conv_state: make(d_inner * d_conv),
        y: make(seqlen * d_inner),
      }, { batch: 1, seqlen, d_inner, d_conv, ldX: 2 * d_inner, label: "conv1d" }),
  };
}

function norms(rows: number): OpBench[] {
  const [d_model, d_inner] = [768, 1536];
  return [
    {
      name: `rms_norm_fwd, ${rows} rows`,
      count: rows * d_model,
      unit: "Element",
      record: (program, make) => {
        const tensors = { x: make(rows * d_model), weight: make(d_model), y: make(rows * d_model) };
        rmsNormFwd(program, tensors, { rows, d_model, eps: 1e-5, label: "norm" });
      },
    },
    {
      name: `gated_rms_norm_fwd, ${rows} rows`,
      count: rows * d_inner,
      unit: "Element",
      record: (program, make) => {
        const [y, z, out] = [make(rows * d_inner), make(rows * d_inner), make(rows * d_inner)];
        const shape = { rows, d_inner, group_size: d_inner, eps: 1e-5, norm_before_gate: false };
        gatedRmsNormFwd(program, { y, z, weight: make(d_inner), out }, { ...shape, label: "norm" });
      },
    },
  ];
}

/** Settings as words of floats: temperature, top-k, top-p, min-p, repetition penalty. */
type Settings = readonly [
  temperature: number,
  topK: number,
  topP: number,
  minP: number,
  penalty: number,
];

const SETTINGS: Readonly<Record<string, Settings>> = {
  greedy: [0, 0, 1, 0, 1],
  "temperature 1": [1, 0, 1, 0, 1],
  "all filters": [0.8, 40, 0.9, 0.01, 1.2],
};

function samplers(vocab_size: number): OpBench[] {
  return Object.entries(SETTINGS).map(([name, [temperature, topK, topP, minP, penalty]]) => ({
    name: `sample_fwd, vocabulary ${vocab_size}, ${name}`,
    count: 1,
    record: (program: CpuProgram, make: Make) => {
      const settings = make(8, { word: 7 });
      settings.write(Float32Array.of(temperature, 0, topP, minP, penalty));
      settings.write(Uint32Array.of(topK), 4);
      const tensors = {
        settings,
        logits: logits(make, vocab_size),
        seen: make(Math.ceil(vocab_size / 32), { word: 5 }),
        tokens: make(1),
        draws: make(1, { word: 0 }),
        ring: make(RING * 2),
      };
      sampleFwd(program, tensors, {
        batch: 1,
        vocab_size,
        real_vocab_size: vocab_size,
        label: "sample",
      });
    },
  }));
}

/** About as spread as a model's. */
function logits(make: Make, vocab_size: number): CpuTensor {
  const tensor = make(vocab_size);
  const parts = [1, 2, 3].map((seed) => randomUniform(vocab_size, seed));
  const sum = (i: number) => parts.reduce((total, part) => total + (part[i] ?? NaN), 0);
  tensor.write(Float32Array.from({ length: vocab_size }, (_, i) => 4 * sum(i)));
  return tensor;
}

const SCORE: OpBench = {
  name: "token_score_fwd, vocabulary 50280",
  count: 1,
  record: (program, make) => {
    const tensors = { logits: logits(make, 50_280), targets: make(1, { word: 9 }), y: make(3) };
    const sizes = { rows: 1, vocab_size: 50_280, real_vocab_size: 50_280 };
    tokenScoreFwd(program, tensors, { ...sizes, label: "score" });
  },
};

const BENCHES: readonly OpBench[] = [
  scanStep(false),
  scanStep(true),
  scan(1),
  scan(512),
  ssd(1),
  ssd(512),
  conv1d(4, 512),
  conv1d(32, 512),
  ...norms(512),
  ...samplers(65),
  ...samplers(50_280),
  SCORE,
];

/** Runs the benchmark; `--op` takes the ops whose names contain it, `--threads` is 1 by default. */
export async function* cpuOps(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["op", "threads"],
    default: { op: "", threads: "1" },
  });
  const threads = Number(options.threads);
  for (const bench of BENCHES.filter(({ name }) => name.includes(options.op))) {
    using cpu = await openCpu({ threads });
    using resources = new DisposableStack();
    const make: Make = (length, fill) => {
      const tensor = resources.use(createCpuTensor(cpu, "bench", [length]));
      tensor.write(
        fill === undefined
          ? randomUniform(length, length)
          : new Uint32Array(length).fill(fill.word),
      );
      return tensor;
    };
    const program = resources.use(new CpuProgram(cpu));
    bench.record(program, make, cpu);
    const runs = runsWithin(program);
    const milliseconds = await medianTime(() => program.run(runs)) / runs;
    yield {
      bench: "cpu_ops",
      device: cpuName(cpu),
      op: bench.name,
      threads,
      microseconds: round(milliseconds * 1000, 2),
      ...bench.unit === undefined ? {} : {
        [`nanosecondsPer${bench.unit}`]: round(milliseconds * 1e6 / bench.count, 3),
      },
    };
  }
}

/** Runs between two looks at the clock: a power of two that takes about this long. */
const LEAST_MS = 0.5;

function runsWithin(program: CpuProgram): number {
  for (let runs = 1;; runs *= 2) {
    const start = performance.now();
    program.run(runs);
    if (performance.now() - start >= LEAST_MS) return runs;
  }
}
