/** Mamba-3 over a sequence in pieces: however it is cut, from any state or none, it is what it is over all of it. */

import { mamba3Widths } from "../../model/mamba3_sizes.ts";
import type { OpaqueTensor } from "../checked_ops.ts";
import { checkKernel, type KernelCheck, type KernelRun, type Limits } from "../kernel_check.ts";
import { mamba3ScanFwd } from "../reference/mamba3.ts";
import { ANGLES, expectAngles } from "./mamba3_checks.ts";
import {
  type Mamba3Case,
  type Mamba3Data,
  mamba3Data,
  mamba3Steps,
  ODD_MIMO,
  ODD_SISO,
  oracleShape,
  sized,
} from "./mamba3_data.ts";

/** Of the largest output: what ops may be off, whichever the pieces. */
const CLOSE = 1e-5;

interface PiecesCase {
  readonly each: Mamba3Case;
  /** Lengths of the pieces. */
  readonly pieces: readonly number[];
  /** Whether the state before the first is zero. */
  readonly isFirst: boolean;
}

const WIDE_SISO = {
  ...{ nheads: 2, headdim: 64, d_state: 128, ngroups: 1 },
  ...{ is_mimo: false, mimo_rank: 1, num_rope_angles: 32 },
};

const WIDE_MIMO = { ...WIDE_SISO, is_mimo: true, mimo_rank: 4 };

const ones = (count: number) => Array<number>(count).fill(1);

/** Pieces around chunks, which are of 64 steps, of 21 for a rank of 3 and of 16 for one of 4. */
const PIECES = [
  [ODD_SISO, [[130], [64, 65, 1], [63, 1, 66], [65, ...ones(20), 45]]],
  [ODD_MIMO, [[45], [21, 22, 2], [20, 1, 24], [22, ...ones(20), 3]]],
  [WIDE_SISO, [[70], [64, 6], ones(70)]],
  [WIDE_MIMO, [[20], [16, 4], [17, 3], ones(20)]],
] as const;

const CASES: readonly PiecesCase[] = PIECES.flatMap(([sizes, all]) =>
  all.map((pieces, i) => ({
    each: sized(sizes, pieces.reduce((sum, length) => sum + length, 0), { batch: 1 }),
    ...{ pieces, isFirst: i % 2 === 1 },
  }))
);

/** Those of single steps. */
const STEP_CASES: readonly PiecesCase[] = [ODD_SISO, ODD_MIMO, WIDE_SISO, WIDE_MIMO].map(
  (sizes, i) => ({
    ...{ each: sized(sizes, 30, { batch: 1 }), pieces: ones(30), isFirst: i % 2 === 0 },
  }),
);

/** Weights, and the state, which moves on from piece to piece. */
function makeTensors(run: KernelRun, { weights, ...data }: Mamba3Data) {
  return {
    dt_bias: run.input(weights.dt_bias),
    B_norm: run.input(weights.B_norm),
    C_norm: run.input(weights.C_norm),
    B_bias: run.input(weights.B_bias),
    C_bias: run.input(weights.C_bias),
    mimo_x: data.mimo_x && run.input(data.mimo_x),
    D: run.input(data.D),
    theta: run.state(weights.theta),
    ssm_state: run.state(data.ssm_state),
    k: run.state(data.k),
    v: run.state(data.v),
  };
}

/** A piece: its rows of in_proj's output, and where its own go. */
interface Piece extends ReturnType<typeof makeTensors> {
  readonly seqlen: number;
  readonly zxBCdt: OpaqueTensor;
  readonly y: OpaqueTensor;
}

/** Has all pieces recorded, and says what comes of them. */
function recordPieces(
  run: KernelRun,
  { each, pieces, isFirst }: PiecesCase,
  seed: number,
  record: (piece: Piece) => void,
): void {
  const data = mamba3Data(each, seed);
  if (isFirst) {
    for (const part of [data.ssm_state, data.k, data.v, data.weights.theta]) part.fill(0);
  }
  const { steps, carried } = mamba3Steps(data, each);
  const expected = mamba3ScanFwd(steps, data.D, carried, oracleShape(each));
  const tensors = makeTensors(run, data);
  const part = (values: Float64Array, start: number, end: number) =>
    values.subarray(start * values.length / each.seqlen, end * values.length / each.seqlen);
  const limits = closeTo(expected.y);
  const width = data.zxBCdt.length / each.seqlen;
  let start = 0;
  for (const seqlen of pieces) {
    const end = start + seqlen;
    const own = part(expected.y, start, end);
    const y = run.output(own.length);
    const zxBCdt = run.input(data.zxBCdt.slice(start * width, end * width));
    record({ ...tensors, seqlen, zxBCdt, y });
    run.expect(`y from ${start}`, y, own, limits);
    start = end;
  }
  const last = (values: Float64Array) => part(values, start - 1, start);
  expectAngles(run, "theta", tensors.theta, last(steps.thetas));
  run.expect("ssm_state", tensors.ssm_state, expected.ssm_state, closeTo(expected.ssm_state));
  run.expect("k", tensors.k, last(steps.k), ANGLES);
  run.expectAnything("v", tensors.v);
}

function closeTo(expected: Float64Array): Limits {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { rtol: 0, atol: CLOSE * largest };
}

/** A piece by the ops of a sequence. */
function recordSequence(
  run: KernelRun<(typeof SEQUENCE_OPS)[number]>,
  { each: { sizes }, each }: PiecesCase,
  { seqlen, D, ssm_state, k, v, y, ...inputs }: Piece,
): void {
  const shape = { ...oracleShape(each), seqlen, label: "check" };
  const { nheads, mimo_rank, num_rope_angles } = sizes;
  const { d_vkq } = mamba3Widths(sizes);
  const rates = run.scratch("rates", seqlen * nheads * 4);
  const thetas = run.scratch("thetas", seqlen * nheads * num_rope_angles);
  const vkq = run.scratch("vkq", seqlen * mimo_rank * d_vkq);
  const scratch = run.ops.mamba3ScanScratch(sizes, { rows: seqlen, batch: 1 });
  run.ops.mamba3Inputs(run.program, { ...inputs, rates, thetas, vkq }, shape);
  const { zxBCdt, mimo_x } = inputs;
  run.ops.mamba3Scan(run.program, {
    ...{ vkq, rates, zxBCdt, mimo_x, D, ssm_state, k, v, y },
    states: run.scratch("states", scratch.states),
    decays: run.scratch("decays", scratch.decays),
    CB: run.scratch("CB", scratch.CB),
  }, shape);
}

/** A step by its own op. */
function recordStep(
  run: KernelRun<"mamba3Step">,
  { each }: PiecesCase,
  { seqlen: _, ...tensors }: Piece,
): void {
  const { nheads, d_state, mimo_rank } = each.sizes;
  const kq = run.scratch("kq", nheads * (4 + 2 * mimo_rank * d_state));
  const shape = { ...oracleShape(each), gated: false, label: "check" };
  run.ops.mamba3Step(run.program, { ...tensors, kq }, shape);
}

const SEQUENCE_OPS = ["mamba3Inputs", "mamba3Scan", "mamba3ScanScratch"] as const;

function nameOf({ each, pieces, isFirst }: PiecesCase): string {
  const lengths = pieces.length > 5 ? `in ${pieces.length} pieces` : `in ${pieces.join(" + ")}`;
  return `${lengths}, ${isFirst ? "from no state" : "from a state"}: ${each.name}`;
}

/** Checks of the recurrence in pieces. */
export const MAMBA3_PIECES_CHECKS: readonly KernelCheck[] = [
  ...CASES.map((own, seed) => ({
    kernel: "mamba3_carry",
    name: nameOf(own),
    ...checkKernel(
      SEQUENCE_OPS,
      (run) => recordPieces(run, own, seed, (piece) => recordSequence(run, own, piece)),
    ),
  })),
  ...STEP_CASES.map((own, seed) => ({
    kernel: own.each.sizes.is_mimo ? "mamba3_mimo_step" : "mamba3_step",
    name: nameOf(own),
    ...checkKernel(
      ["mamba3Step"],
      (run) => recordPieces(run, own, seed, (piece) => recordStep(run, own, piece)),
    ),
  })),
];
