/**
 * `bench ssd`: Mamba-2's recurrence of one layer: over a sequence in chunks, its gradients, and a single step.
 *
 * --shape      a Mamba-2's (default mamba2-130m)
 * --batch      sequences (default 1)
 * --tokens     of each
 * --kernels    also each kernel's share
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { profile, Program } from "../../src/gpu/program.ts";
import { createTensor, type Tensor } from "../../src/gpu/tensor.ts";
import { ssdFwd, ssdScratch } from "../../src/ops/ssd.ts";
import { ssdBwd, ssdBwdScratch } from "../../src/ops/training/ssd_bwd.ts";
import { isMamba2 } from "../../src/model/mixers/mamba2.ts";
import { SSD_CHUNK, type SsdSizes, ssdWidths } from "../../src/model/ssd_sizes.ts";
import { ssdStep } from "../../src/ops/ssd_step.ts";
import { randomUniform } from "./random_weights.ts";
import { type Result, round } from "./result.ts";
import { shapeConfig } from "./shapes.ts";
import { warmTime } from "./warm_time.ts";

/** A prime, so that no rows are alike although random numbers repeat after as many. */
const RANDOM_COUNT = 1_000_003;

/** What f32 sums over a chunk may be off by, from one length of chunk to another. */
const TOLERANCE = 1e-3;

/** Runs the benchmark. */
export async function* ssd(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["shape", "batch", "tokens"],
    boolean: ["kernels"],
    default: { shape: "mamba2-130m", batch: "1" },
  });
  const config = shapeConfig(options.shape);
  if (!isMamba2(config)) {
    throw new RangeError(`Cannot time Mamba-2's recurrence: ${options.shape} has none`);
  }
  using gpu = await openGpu();
  const { nheads, headdim, d_state, ngroups } = config;
  const sizes = { nheads, headdim, d_state, ngroups };
  const [batch, seqlen] = [
    Number(options.batch),
    Number(options.tokens ?? (gpu.isSoftware ? 128 : 2048)),
  ];
  using resources = new DisposableStack();
  const programs = record(gpu, { ...sizes, batch, seqlen }, resources);
  await check(gpu, programs);
  const flops = chunkFlops(sizes) * batch * Math.ceil(seqlen / SSD_CHUNK);
  const { fwd, bwd, step } = programs;
  const microseconds = { fwd: await warmTime(gpu, [fwd]), bwd: await warmTime(gpu, [bwd]) };
  const steps = gpu.isSoftware ? 1 : 32;
  const once = await warmTime(gpu, Array.from({ length: steps }, () => step)) / steps;
  yield {
    bench: "ssd",
    device: gpu.name,
    shape: options.shape,
    batch,
    seqlen,
    fwd: {
      microseconds: round(microseconds.fwd, 1),
      teraflopsPerSecond: round(flops / microseconds.fwd / 1e6, 3),
    },
    bwd: { microseconds: round(microseconds.bwd, 1) },
    step: {
      microseconds: round(once, 1),
      gigabytesPerSecond: round(2 * 4 * batch * nheads * headdim * d_state / once / 1e3, 1),
    },
  };
  if (!options.kernels) return;
  for (const [name, program] of Object.entries({ fwd, bwd, step })) {
    const kernels = await profile(gpu, program);
    const rounded = kernels.map(({ label, microseconds }) => [label, round(microseconds, 1)]);
    yield {
      bench: `ssd kernels ${name}`,
      device: gpu.name,
      microseconds: Object.fromEntries(rounded),
    };
  }
}

/** Floating-point operations of the matrix products of a whole chunk, all heads together. */
function chunkFlops({ nheads, headdim, d_state, ngroups }: SsdSizes): number {
  const perHead = 2 * headdim * d_state + SSD_CHUNK * headdim;
  return 2 * SSD_CHUNK * (nheads * perHead + ngroups * SSD_CHUNK * d_state);
}

interface Programs extends Record<"fwd" | "bwd" | "step" | "halves", Program> {
  readonly y: Tensor;
  readonly yOfHalves: Tensor;
}

/** The programs, over random inputs; `halves` is the forward in chunks of half the length. */
function record(
  gpu: Gpu,
  shape: SsdSizes & { batch: number; seqlen: number },
  resources: DisposableStack,
): Programs {
  const { batch, seqlen, nheads, headdim, d_state } = shape;
  const { d_inner, conv_dim, d_in_proj } = ssdWidths(shape);
  const rows = batch * seqlen;
  const make = (size: number) => resources.use(createTensor(gpu, "ssd", [size]));
  const random = (size: number, scale: number, offset = 0) => {
    const tensor = make(size);
    const block = randomUniform(Math.min(size, RANDOM_COUNT), size)
      .map((value) => offset + scale * value);
    for (let start = 0; start < size; start += block.length) {
      tensor.write(block.subarray(0, size - start), 4 * start);
    }
    return tensor;
  };
  const program = (add: (program: Program) => void) => {
    const recorded = resources.use(new Program(gpu));
    add(recorded);
    return recorded;
  };
  const inputs = {
    xBC: random(rows * conv_dim, 1),
    zxbcdt: random(rows * d_in_proj, 1),
    A_log: random(nheads, 1, 1),
    D: random(nheads, 1),
    dt_bias: random(nheads, 1, -4),
  };
  const size = nheads * headdim * d_state;
  const forward = (chunk: number) => {
    const ssm_state = make(batch * (Math.ceil(seqlen / chunk) + 1) * size);
    const { decays, CB } = ssdScratch({ ...shape, chunk });
    const own = { ssm_state, y: make(rows * d_inner), decays: make(decays), CB: make(CB) };
    const options = { ...shape, chunk, label: "ssd" };
    return { ...own, program: program((list) => ssdFwd(list, { ...inputs, ...own }, options)) };
  };
  const { program: fwd, ...own } = forward(SSD_CHUNK);
  const halves = forward(SSD_CHUNK / 2);
  const chunked = { ...shape, chunk: SSD_CHUNK, label: "ssd_bwd" };
  const scratch = ssdBwdScratch(chunked);
  const gradients = {
    grad_y: random(rows * d_inner, 1),
    grad_xBC: make(rows * conv_dim),
    grad_zxbcdt: make(rows * d_in_proj),
    grad_A_log: make(nheads),
    grad_D: make(nheads),
    grad_dt_bias: make(nheads),
    grad_state: make(batch * size),
    grad_CB: make(scratch.grad_CB),
    grad_states: make(scratch.grad_states),
    sums: make(scratch.sums),
    partials: make(scratch.partials),
  };
  const state = { ssm_state: make(batch * size), y: make(batch * d_inner) };
  return {
    fwd,
    y: own.y,
    halves: halves.program,
    yOfHalves: halves.y,
    bwd: program((list) => ssdBwd(list, { ...inputs, ...own, ...gradients }, chunked)),
    step: program((list) =>
      ssdStep(list, { ...inputs, ...state }, { ...shape, label: "ssd_step" })
    ),
  };
}

/** Compares the outputs of both lengths of chunk. */
async function check(gpu: Gpu, { fwd, halves, y, yOfHalves }: Programs): Promise<void> {
  await warmTime(gpu, [fwd, halves]);
  const [found, expected] = [await readFloats(gpu, y), await readFloats(gpu, yOfHalves)];
  const index = found.findIndex((value, i) => {
    const other = expected[i] ?? NaN;
    return !(Math.abs(value - other) <= TOLERANCE * (1 + Math.abs(other)));
  });
  if (index < 0) return;
  throw new Error(
    `Cannot time ssd: y[${index}] is ${found[index]}, and ${
      expected[index]
    } in chunks of half the length`,
  );
}
