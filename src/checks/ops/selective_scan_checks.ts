import type { FloatDType } from "../../model/weights/dtype.ts";
import { type ModelShape, ODD, SEQUENCE_CASES } from "../cases.ts";
import { Random } from "../random.ts";
import { matmulFwd } from "../reference/matmul.ts";
import { selectiveScanFwd as reference } from "../reference/selective_scan.ts";
import { checkKernel, type KernelCheck, type KernelRun, type Limits } from "../kernel_check.ts";
import type { OpaqueTensor, OpName } from "../checked_ops.ts";
import { roundedWeight } from "./rounded_weight.ts";

/** The published kernels allow themselves 6e-4 and 2e-3. */
const SCAN: Limits = { rtol: 1e-4, atol: 1e-4 };

/** Sizes of a case. */
export type ScanShape = Pick<ModelShape, "d_inner" | "d_state" | "dt_rank">;

/** A case of the scan. */
export interface ScanCase {
  readonly name: string;
  readonly shape: ScanShape;
  readonly batch: number;
  readonly seqlen: number;
  readonly initialState: boolean;
  /** Of all states; random by default. */
  readonly A_log?: number;
  /** Whether the op is given rates instead of A_log. */
  readonly hasRates?: boolean;
}

function states(d_state: number, seqlen: number, d_inner = 5): ScanCase {
  const name = `d_state ${d_state}, d_inner ${d_inner}, batch 2, seqlen ${seqlen}`;
  return { name, shape: { d_inner, d_state, dt_rank: 3 }, batch: 2, seqlen, initialState: true };
}

const CASES: readonly ScanCase[] = [
  ...SEQUENCE_CASES,
  // A lane holds 4 states, a workgroup has 32 lanes, or all of one channel: channels a workgroup and tiles go down as d_state grows.
  ...[1, 2, 3, 4, 5, 8, 16, 17, 64, 65].map((d_state) => states(d_state, 18)),
  ...[1, 16, 17].map((d_inner) => states(16, 33, d_inner)),
  states(128, 33),
  states(255, 9),
  states(256, 9),
  states(1024, 3, 2),
  // exp(A_log) is infinite in f32, and the last tile has steps that are not there.
  { ...states(16, 10), name: "A_log 89, seqlen 10", A_log: 89 },
  { ...states(16, 10, 37), name: "rates given", hasRates: true },
  { ...states(5, 3, 18), name: "rates given, d_state 5", hasRates: true },
  // More than a workgroup has lanes for: only executors without that limit have rates.
  { ...states(1030, 3, 2), name: "rates given, d_state 1030", hasRates: true },
];

/** What scanData() makes. */
export interface ScanData {
  readonly random: Random;
  readonly x_dbl: Float32Array<ArrayBuffer>;
  readonly xz: Float32Array<ArrayBuffer>;
  readonly B: Float32Array<ArrayBuffer>;
  readonly C: Float32Array<ArrayBuffer>;
  readonly z: Float32Array<ArrayBuffer>;
  readonly A_log: Float32Array<ArrayBuffer>;
  readonly D: Float32Array<ArrayBuffer>;
  readonly ssm_state: Float32Array<ArrayBuffer>;
}

/** The data of a case, f32, with B and C as x_dbl holds them. */
export function scanData(
  { shape, batch, seqlen, initialState, A_log }: Omit<ScanCase, "name">,
  seed: number,
): ScanData {
  const { d_inner, d_state, dt_rank } = shape;
  const random = new Random(seed);
  const rows = batch * seqlen;
  const width = dt_rank + 2 * d_state;
  const x_dbl = random.normal(rows * width);
  const xz = random.normal(rows * 2 * d_inner);
  return {
    random,
    x_dbl,
    xz,
    B: columns(x_dbl, width, dt_rank, d_state),
    C: columns(x_dbl, width, dt_rank + d_state, d_state),
    z: columns(xz, 2 * d_inner, d_inner, d_inner),
    A_log: random.A_log(d_inner, d_state).map((value) => A_log ?? value),
    D: random.uniform(d_inner, 0.5, 1.5),
    ssm_state: random.normal(batch * d_inner * d_state, initialState ? 1 : 0),
  };
}

function columns(
  matrix: Float32Array,
  width: number,
  first: number,
  count: number,
): Float32Array<ArrayBuffer> {
  const rows = matrix.length / width;
  return Float32Array.from(
    { length: rows * count },
    (_, i) => matrix[Math.floor(i / count) * width + first + i % count] ?? NaN,
  );
}

/** What a case calls, beside its op. */
type RatesOp = "scanRates" | "scanRatesSize";

/** The check of an op, and of rates where the case has them. */
function checkScan<Op extends OpName>(
  op: Op,
  { hasRates }: ScanCase,
  record: (run: KernelRun<Op>, decay: DecayOf) => void,
): Pick<KernelCheck, "ops" | "run"> {
  if (!hasRates) {
    return checkKernel([op], (run) => record(run, (A_log) => ({ A_log: run.input(A_log) })));
  }
  return checkKernel<Op | RatesOp>([op, "scanRates", "scanRatesSize"], (run) => {
    record(run, (A_log, shape) => withRates(run, A_log, shape));
  });
}

/** The tensors that tell a scan how states decay. */
type DecayOf = (
  A_log: Float32Array,
  shape: ScanShape,
) => { readonly A_log: OpaqueTensor; readonly rates?: OpaqueTensor };

/** NaN in the place of A_log, and what scanRates() makes of it. */
function withRates(run: KernelRun<RatesOp>, A_log: Float32Array, shape: ScanShape) {
  const rates = run.scratch("rates", run.ops.scanRatesSize(shape));
  run.ops.scanRates(run.program, { A_log: run.input(A_log), rates }, { ...shape, label: "check" });
  return { A_log: run.input(new Float32Array(A_log.length).fill(NaN)), rates };
}

/** What a case of a sequence calls, beside its op. */
function recordFwd(
  run: KernelRun<"selectiveScanFwd">,
  decay: DecayOf,
  { each, seed, chunk_states }: { each: ScanCase; seed: number; chunk_states?: OpaqueTensor },
): void {
  const { shape, batch, seqlen } = each;
  const { random, x_dbl, xz, ...data } = scanData(each, seed);
  const u = random.normal(batch * seqlen * shape.d_inner);
  const dt = random.dt(batch * seqlen, shape.d_inner);
  const ssm_state = run.state(data.ssm_state);
  const y = run.output(u.length);
  const tensors = {
    ...run.together({ u: { input: u }, dt: { input: dt } }),
    x_dbl: run.input(x_dbl),
    xz: run.input(xz),
    ...decay(data.A_log, shape),
    D: run.input(data.D),
    ssm_state,
    ...(chunk_states === undefined ? {} : { chunk_states }),
    y,
  };
  run.ops.selectiveScanFwd(run.program, tensors, { ...shape, batch, seqlen, label: "check" });
  const expected = reference({ u, dt, ...data }, { ...shape, batch, seqlen });
  run.expect("y", y, expected.y, SCAN);
  run.expect("ssm_state", ssm_state, expected.ssm_state, SCAN);
}

const FWD_CHECKS = CASES.map((each, seed): KernelCheck => ({
  kernel: "selective_scan_fwd",
  name: each.name,
  ...checkScan("selectiveScanFwd", each, (run, decay) => recordFwd(run, decay, { each, seed })),
}));

/** Whole chunks and parts of one, one and many, more than selective_scan_pass reads at once. */
const CHUNKED_CASES: readonly ScanCase[] = [
  ...[1, 63, 64, 65, 200, 640].map((seqlen) => states(16, seqlen)),
  ...[1, 5, 17, 255].map((d_state) => states(d_state, 130)),
  { ...states(16, 130), name: "zeros, seqlen 130", initialState: false },
  { ...states(16, 130), name: "A_log 89, seqlen 130", A_log: 89 },
];

const CHUNKED_CHECKS = CHUNKED_CASES.map((each, seed): KernelCheck => ({
  kernel: each.seqlen > 512 ? "selective_scan_pass" : "selective_scan_chunks",
  name: each.name,
  ...checkKernel(["selectiveScanFwd", "chunkStatesSize"], (run) => {
    const chunk_states = run.scratch("chunk_states", run.ops.chunkStatesSize(each.shape, each));
    recordFwd(run, (A_log) => ({ A_log: run.input(A_log) }), { each, seed, chunk_states });
  }),
}));

/** The same shapes, batches and states for a single step, each once, and what only the step kernel has: dt_proj. */
const STEP_CASES: readonly (ScanCase & { dtype: FloatDType })[] = [
  ...new Map(
    CASES.map((each) => {
      const { d_inner, d_state, dt_rank } = each.shape;
      const start = each.initialState ? "a state" : "zeros";
      const rates = each.hasRates ? ", rates given" : "";
      const name =
        `d_inner ${d_inner}, d_state ${d_state}, batch ${each.batch}, from ${start}${rates}`;
      const shape = { d_inner, d_state, dt_rank };
      return [name, { ...each, name, shape, seqlen: 1, dtype: "f32" as const }];
    }),
  ).values(),
  ...(["f16", "bf16"] as const).flatMap((dtype) =>
    [1, 2, 5, 48, 101].map((dt_rank) => ({
      name: `dt_rank ${dt_rank}, ${dtype}`,
      shape: { ...ODD, dt_rank },
      batch: 2,
      seqlen: 1,
      initialState: true,
      dtype,
    }))
  ),
  ...(["f32", "f16", "bf16"] as const).flatMap((dtype) =>
    [[5, 16, 4], [8, 4, 12], [9, 16, 48], [6, 20, 160], [7, 64, 8]].map((
      [batch = 0, d_state = 0, dt_rank = 0],
    ) => ({
      name: `batch ${batch}, d_state ${d_state}, dt_rank ${dt_rank}, ${dtype}`,
      shape: { d_inner: 70, d_state, dt_rank },
      batch,
      seqlen: 1,
      initialState: true,
      dtype,
    }))
  ),
];

/** Rows from which checks take a GPU's kernel for many, where sizes are multiples of 4. */
const MANY_ROWS = 5;

const STEP_CHECKS = STEP_CASES.map((each, seed): KernelCheck => ({
  kernel: each.batch < MANY_ROWS ? "selective_scan_step" : "selective_scan_rows",
  name: each.name,
  ...checkScan("selectiveScanStep", each, (run, decay) => {
    const { shape, batch, dtype } = each;
    const { d_inner, d_state, dt_rank } = shape;
    const { random, x_dbl, xz, ...data } = scanData(each, seed);
    const weight = roundedWeight(random.linear(d_inner, dt_rank), dtype, dt_rank);
    const dt_bias = random.dtBias(d_inner);
    const ssm_state = run.state(data.ssm_state);
    const y = run.output(batch * d_inner);
    const tensors = {
      xz: run.input(xz),
      x_dbl: run.input(x_dbl),
      dt_weight: run.matrix(weight, [d_inner, dt_rank]),
      dt_bias: run.input(dt_bias),
      ...decay(data.A_log, shape),
      D: run.input(data.D),
      ssm_state,
      y,
    };
    const byRows = batch >= MANY_ROWS;
    run.ops.selectiveScanStep(run.program, tensors, { ...shape, batch, byRows, label: "check" });
    const dt_low = columns(x_dbl, dt_rank + 2 * d_state, 0, dt_rank);
    const dt = matmulFwd(dt_low, weight.values, dt_bias, {
      rows: batch,
      in: dt_rank,
      out: d_inner,
    });
    const u = columns(xz, 2 * d_inner, 0, d_inner);
    const expected = reference({ u, dt, ...data }, { ...shape, batch, seqlen: 1 });
    run.expect("y", y, expected.y, SCAN);
    run.expect("ssm_state", ssm_state, expected.ssm_state, SCAN);
  }),
}));

/** Checks of selective_scan_fwd and selective_scan_step. */
export const SELECTIVE_SCAN_CHECKS: readonly KernelCheck[] = [
  ...FWD_CHECKS,
  ...CHUNKED_CHECKS,
  ...STEP_CHECKS,
];
