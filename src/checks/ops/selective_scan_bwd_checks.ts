import { SEQUENCE_CASES } from "../cases.ts";
import { Random } from "../random.ts";
import { selectiveScanFwd as forward } from "../reference/selective_scan.ts";
import { selectiveScanBwd as reference } from "../reference/selective_scan_bwd.ts";
import {
  checkKernel,
  ELEMENTWISE,
  type KernelCheck,
  type KernelRun,
  type Limits,
} from "../kernel_check.ts";
import type { OpaqueTensor } from "../checked_ops.ts";
import { type ScanCase, scanData, type ScanShape } from "./selective_scan_checks.ts";
import { stepsOf } from "./steps_of.ts";

/** Five times the forward's. */
const SCAN_BWD: Limits = { rtol: 5e-4, atol: 5e-4 };

/** For the forward in front, which has its own checks. */
const SCAN: Limits = { rtol: 1e-4, atol: 1e-4 };

interface BwdCase extends ScanCase {
  /** First steps of the pieces that the sequence is run in, each with a backward of its own; default [0]. */
  readonly starts?: readonly number[];
  /** Whether the loss reads the final state; default true. */
  readonly gradFinal?: boolean;
}

function sized(
  shape: Partial<ScanShape>,
  seqlen: number,
  { batch = 2, ...rest }: Partial<BwdCase> = {},
): BwdCase {
  const sizes = { d_inner: 5, d_state: 16, dt_rank: 3, ...shape };
  const pieces = rest.starts === undefined ? "" : `, from steps ${rest.starts.join(", ")}`;
  const final = rest.gradFinal === false ? ", no gradient of the final state" : "";
  const name = `d_state ${sizes.d_state}, d_inner ${sizes.d_inner}, batch ${batch}, ` +
    `seqlen ${seqlen}${pieces}${final}`;
  return { name, shape: sizes, batch, seqlen, initialState: true, ...rest };
}

const CASES: readonly BwdCase[] = [
  ...SEQUENCE_CASES,
  // Lanes, channels a workgroup and groups a tile depend on d_state.
  ...[1, 2, 4, 5, 12, 16, 17, 64, 65, 128].map((d_state) => sized({ d_state }, 18)),
  sized({ d_state: 256 }, 5),
  sized({ d_inner: 2, d_state: 1024 }, 3, { batch: 1 }),
  ...[1, 16, 17, 33].map((d_inner) => sized({ d_inner }, 33)),
  // Around groups of 4 steps, and tiles of three or four.
  ...[1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 130].map((seqlen) =>
    sized({ d_inner: 18, d_state: 12 }, seqlen, { batch: 3 })
  ),
  sized({}, 33, { gradFinal: false }),
  { ...sized({}, 10), name: "A_log 89, seqlen 10", A_log: 89 },
  // The gradient of a piece's initial state is that of the final state of the piece before.
  ...[[0, 1], [0, 16], [0, 7, 33], [0, 32, 48]].map((starts) =>
    sized({ d_inner: 18, d_state: 12 }, 49, { starts })
  ),
];

type Inputs = Record<"u" | "dt" | "A_log" | "B" | "C" | "D" | "z", Float32Array> & {
  readonly ssm_state: ArrayLike<number>;
};

type Shape = Parameters<typeof forward>[1];

/** What the scan reads in the steps from `first` to `end`. */
function inputsOf(inputs: Inputs, { batch, seqlen }: Shape, steps: readonly [number, number]) {
  const part = (name: "u" | "dt" | "B" | "C" | "z") =>
    stepsOf(inputs[name], [batch, seqlen], steps);
  return { ...inputs, u: part("u"), dt: part("dt"), B: part("B"), C: part("C"), z: part("z") };
}

/** The states (batch, chunks + 1, d_inner, d_state) that the forward keeps in training. */
function keptStates(inputs: Inputs, shape: Shape, chunk: number): Float64Array {
  const { batch, seqlen } = shape;
  const chunks = Math.ceil(seqlen / chunk);
  const size = shape.d_inner * shape.d_state;
  const kept = new Float64Array(batch * (chunks + 1) * size);
  let state = inputs.ssm_state;
  for (let slot = 0; slot <= chunks; slot++) {
    for (let i = 0; i < batch * size; i++) {
      kept[(Math.floor(i / size) * (chunks + 1) + slot) * size + i % size] = state[i] ?? NaN;
    }
    const [first, end] = [slot * chunk, Math.min(seqlen, (slot + 1) * chunk)];
    if (slot === chunks) break;
    const part = { ...inputsOf(inputs, shape, [first, end]), ssm_state: state };
    state = forward(part, { ...shape, seqlen: end - first }).ssm_state;
  }
  return kept;
}

/** The initial state (batch, d_inner, d_state) in slot 0 of (batch, slots, d_inner, d_state). */
function slots(state: Float32Array, batch: number, count: number): Float32Array<ArrayBuffer> {
  const size = state.length / batch;
  const all = new Float32Array(batch * count * size).fill(NaN);
  for (let b = 0; b < batch; b++) {
    all.set(state.subarray(b * size, (b + 1) * size), b * count * size);
  }
  return all;
}

/** (rows, columns) as the columns from `first` on of (rows, width), the others holding `filler`. */
function inColumns(
  values: ArrayLike<number>,
  rows: number,
  [width, first]: readonly [number, number],
  filler: ArrayLike<number>,
): Float64Array {
  const all = Float64Array.from(filler);
  const columns = values.length / rows;
  for (let i = 0; i < values.length; i++) {
    all[Math.floor(i / columns) * width + first + i % columns] = values[i] ?? NaN;
  }
  return all;
}

/**
 * The gradients that share a binding: of the output, for each piece; of the state, which goes from piece to piece; and what
 * is partial, which is NaN before.
 */
function sharedGradients(
  run: KernelRun,
  pieces: readonly { readonly grad_y: Float32Array; readonly partials: number }[],
  grad_state: Float32Array,
) {
  const tensors: Partial<Record<string, OpaqueTensor>> = run.together(Object.fromEntries([
    ...pieces.map(({ grad_y }, i) => [`grad_y ${i}`, { state: grad_y }]),
    ["grad_state", { state: grad_state }],
    ...pieces.map(({ partials }, i) => [
      `partials ${i}`,
      { state: new Float32Array(partials).fill(NaN) },
    ]),
  ]));
  const named = (name: string): OpaqueTensor => {
    const tensor = tensors[name];
    if (tensor === undefined) throw new RangeError(`Cannot check: there is no ${name}`);
    return tensor;
  };
  pieces.forEach((_, i) => run.expectAnything("partials_params", named(`partials ${i}`)));
  return (piece: number) => ({
    grad_y: named(`grad_y ${piece}`),
    grad_state: named("grad_state"),
    partials_params: named(`partials ${piece}`),
  });
}

/** What a case calls: the forward in training's form, and the backward. */
const OPS = ["selectiveScanFwd", "SCAN_CHUNK", "selectiveScanBwd", "scanBwdScratch"] as const;

function recordCase(run: KernelRun<typeof OPS[number]>, each: BwdCase, seed: number): void {
  const { shape, batch, seqlen, starts = [0], gradFinal = true } = each;
  const { d_inner, d_state, dt_rank } = shape;
  const { random, x_dbl, xz, ...data } = scanData(each, seed);
  const u = random.normal(batch * seqlen * d_inner);
  const dt = random.dt(batch * seqlen, d_inner);
  const grad_y = random.normal(batch * seqlen * d_inner);
  const grad_final = random.normal(batch * d_inner * d_state);
  const whole = { batch, seqlen, d_inner, d_state };
  const inputs = { u, dt, ...data };
  const expected = reference(inputs, grad_y, whole, gradFinal ? grad_final : undefined);

  const weights = run.together({ A_log: { input: data.A_log }, D: { input: data.D } });
  const [grad_A_log, grad_D] = [run.output(d_inner * d_state), run.output(d_inner)];
  const pieces = starts.map((first, i) => [first, starts[i + 1] ?? seqlen] as const).toReversed();
  const shared = sharedGradients(
    run,
    pieces.map(([first, end]) => ({
      grad_y: stepsOf(grad_y, [batch, seqlen], [first, end]),
      partials: run.ops.scanBwdScratch({ ...whole, seqlen: end - first }).partials_params,
    })),
    grad_final,
  );
  for (const [i, [first, end]] of pieces.entries()) {
    const piece = { ...whole, seqlen: end - first };
    const rows = batch * piece.seqlen;
    const part = <T extends Float32Array | Float64Array>(values: T) =>
      stepsOf(values, [batch, seqlen], [first, end]);
    const before = forward(inputsOf(inputs, whole, [0, first]), { ...whole, seqlen: first });
    const initial = Float32Array.from(before.ssm_state);
    const partInputs = { ...inputsOf(inputs, whole, [first, end]), ssm_state: initial };
    const count = Math.ceil(piece.seqlen / run.ops.SCAN_CHUNK) + 1;
    const ssm_state = run.state(slots(initial, batch, count));
    const y = run.output(rows * d_inner);
    const tensors = {
      ...weights,
      ...run.together({ u: { input: partInputs.u }, dt: { state: partInputs.dt } }),
      x_dbl: run.input(part(x_dbl)),
      xz: run.input(part(xz)),
      ssm_state,
    };
    run.ops.selectiveScanFwd(run.program, { ...tensors, y }, {
      ...piece,
      dt_rank,
      keep: true,
      label: "check",
    });
    run.expect("y", y, forward(partInputs, piece).y, SCAN);
    run.expect("ssm_state", ssm_state, keptStates(partInputs, piece, run.ops.SCAN_CHUNK), SCAN);

    const scratch = run.ops.scanBwdScratch(piece);
    const partials_BC = run.scratch("partials_BC", scratch.partials_BC);
    const { grad_y, grad_state, partials_params } = shared(i);
    const width = dt_rank + 2 * d_state;
    const fillers = { xz: random.normal(rows * 2 * d_inner), x_dbl: random.normal(rows * width) };
    const grads = {
      grad_y,
      grad_xz: run.state(fillers.xz),
      grad_x_dbl: run.state(fillers.x_dbl),
    };
    run.ops.selectiveScanBwd(
      run.program,
      { ...tensors, ...grads, grad_state, grad_A_log, grad_D, partials_BC, partials_params },
      {
        ...piece,
        dt_rank,
        gradFinal: gradFinal || end < seqlen,
        accumulate: end < seqlen,
        label: "check",
      },
    );
    run.expect("grad_u", grads.grad_y, part(expected.grad_u), SCAN_BWD);
    run.expect("grad_dt", tensors.dt, part(expected.grad_dt), SCAN_BWD);
    const half = [2 * d_inner, d_inner] as const;
    const grad_xz = inColumns(part(expected.grad_z), rows, half, fillers.xz);
    run.expect("grad_xz", grads.grad_xz, grad_xz, SCAN_BWD);
    const grad_B = inColumns(part(expected.grad_B), rows, [width, dt_rank], fillers.x_dbl);
    const grad_BC = inColumns(part(expected.grad_C), rows, [width, dt_rank + d_state], grad_B);
    run.expect("grad_x_dbl", grads.grad_x_dbl, grad_BC, SCAN_BWD);
  }
  run.expect("grad_state", shared(0).grad_state, expected.grad_ssm_state, SCAN_BWD);
  run.expect("grad_A_log", grad_A_log, expected.grad_A_log, SCAN_BWD);
  run.expect("grad_D", grad_D, expected.grad_D, SCAN_BWD);
}

function recordSum(
  run: KernelRun<"selectiveScanBwdSum">,
  { blocks, rows, dt_rank, d_state }: Record<"blocks" | "rows" | "dt_rank" | "d_state", number>,
): void {
  const random = new Random(blocks);
  const padded = Math.ceil(d_state / 4) * 4;
  const partials = random.normal(blocks * rows * 2 * padded);
  const width = dt_rank + 2 * d_state;
  const filler = random.normal(rows * width);
  const grad_x_dbl = run.state(filler);
  const tensors = { partials: run.input(partials), grad_x_dbl };
  run.ops.selectiveScanBwdSum(run.program, tensors, {
    rows,
    blocks,
    d_state,
    dt_rank,
    label: "check",
  });
  const sums = new Float64Array(rows * 2 * d_state);
  partials.forEach((value, i) => {
    const [half, n] = [Math.floor(i / padded) % (2 * rows), i % padded];
    if (n < d_state) sums[half * d_state + n] = (sums[half * d_state + n] ?? NaN) + value;
  });
  const expected = inColumns(sums, rows, [width, dt_rank], filler);
  run.expect("grad_x_dbl", grad_x_dbl, expected, ELEMENTWISE);
}

/** Checks of selective_scan_bwd and its sum, after selective_scan_fwd in training's form. */
export const SELECTIVE_SCAN_BWD_CHECKS: readonly KernelCheck[] = [
  ...CASES.map((each, seed) => ({
    kernel: "selective_scan_bwd",
    name: each.name,
    ...checkKernel(OPS, (run) => recordCase(run, each, seed)),
  })),
  // Through the op above it sums many blocks already; here it is alone, with workgroups that do not fill up.
  ...[[1, 1, 0], [5, 33, 3], [64, 3, 5]].map(([blocks = 0, rows = 0, dt_rank = 0]) => ({
    kernel: "selective_scan_bwd_sum",
    name: `${blocks} blocks, ${rows} rows, dt_rank ${dt_rank}`,
    ...checkKernel(
      ["selectiveScanBwdSum"],
      (run) => recordSum(run, { blocks, rows, dt_rank, d_state: 3 }),
    ),
  })),
];
