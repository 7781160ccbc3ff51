/** S4D and S4 over a sequence by convolution, forward and in reverse: chunk by chunk, and states from chunk to chunk. */

import { type Panel, type Place, type S4Chunk, tablePlaces } from "../../model/s4_sizes.ts";
import { roundUp } from "../../model/shapes.ts";
import { type PassKinds, VIEW_STEP } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";

/** Sequences in chunks. */
export interface ConvShape extends S4Chunk {
  readonly batch: number;
  readonly seqlen: number;
  readonly label: string;
}

/** The steps of chunks. */
function stepsPanel({ seqlen, chunk }: ConvShape): Panel {
  return { ldBatch: seqlen, ldChunk: chunk, limit: seqlen };
}

/** Slots of states, from one of them on. */
function slotsPanel({ d_state }: ConvShape, slots: number, first = 0): Panel {
  const rows = slots * d_state;
  return { ldBatch: rows, ldChunk: d_state, offset: first * d_state, limit: rows };
}

/** One slot of states. */
function slotPanel(shape: ConvShape, slots: number, slot: number): Panel {
  return { ...slotsPanel(shape, slots, slot), ldChunk: 0 };
}

/** A part of a table. */
export function part<K extends PassKinds>(table: K["tensor"], { start, size }: Place): K["tensor"] {
  return table.view(start * 4, [size]);
}

/**
 * Records y and states (batch, slots, d_state, d_model) for the whole chunks of u: the state before the first is in slot 0.
 *
 *     y = K * u within each chunk + O x of the state x before it        x[c + 1] = E x[c] + R u of the chunk
 */
export function recordConv<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { u, table, states, y }: {
    u: K["tensor"];
    table: K["tensor"];
    states: K["tensor"];
    y: K["tensor"];
  },
  shape: ConvShape & { readonly slots: number },
): void {
  const { batch, seqlen, chunk, d_model, d_state, slots, label } = shape;
  const chunks = Math.floor(seqlen / chunk);
  const { K, O, R } = tablePlaces(shape);
  const steps = stepsPanel(shape);
  const common = { batch, chunks, d_model };
  ops.channelMatmul(program, { x: u, weight: part(table, R), y: states }, {
    ...{ ...common, outer: d_state, inner: chunk, form: "transposed" },
    ...{ x: steps, y: slotsPanel(shape, slots, 1), label: `${label}.states` },
  });
  recordPass(ops, program, { table, states }, {
    ...shape,
    slots,
    count: chunks + 1,
    reverse: false,
  });
  ops.channelMatmul(program, { x: u, weight: part(table, K), y }, {
    ...{ ...common, outer: chunk, inner: chunk, form: "convolution" },
    ...{ x: steps, y: steps, label: `${label}.conv` },
  });
  ops.channelMatmul(program, { x: states, weight: part(table, O), y }, {
    ...{ ...common, outer: chunk, inner: d_state, form: "plain", accumulate: true },
    ...{ x: slotsPanel(shape, slots), y: steps, label: `${label}.response` },
  });
}

/** Records states from slot to slot of `count`, or gradients back. */
function recordPass<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { table, states }: { table: K["tensor"]; states: K["tensor"] },
  shape: ConvShape & { readonly slots: number; readonly count: number; readonly reverse: boolean },
): void {
  const { d_state, d_model, batch, lowRank, slots, count, reverse, label } = shape;
  const E = part(table, tablePlaces(shape).E);
  if (!lowRank) {
    const sizes = { d_model, d_state, batch, slots, count, reverse };
    ops.s4dPass(program, { E, states }, { ...sizes, label: `${label}.pass` });
    return;
  }
  for (let i = 1; i < count; i++) {
    const slot = reverse ? count - 1 - i : i;
    ops.channelMatmul(program, { x: states, weight: E, y: states }, {
      ...{ batch, chunks: 1, outer: d_state, inner: d_state, d_model, accumulate: true },
      ...{ form: reverse ? "transposed" : "plain", label: `${label}.pass` },
      x: slotPanel(shape, slots, reverse ? slot + 1 : slot - 1),
      y: slotPanel(shape, slots, slot),
    });
  }
}

/** What the backward of a convolution reads, and what it writes. */
interface ConvBwdTensors<K extends PassKinds> {
  readonly u: K["tensor"];
  readonly table: K["tensor"];
  /** The state before each chunk, and after the last. */
  readonly states: K["tensor"];
  readonly grad_y: K["tensor"];
  readonly grad_u: K["tensor"];
  /** Of the state before each chunk. */
  readonly grad_states: K["tensor"];
  readonly grad_table: K["tensor"];
  readonly partials: K["tensor"];
}

/** Chunks of a sequence, the last of which may have fewer steps. */
export function chunkCount({ seqlen, chunk }: Pick<ConvShape, "seqlen" | "chunk">): number {
  return Math.ceil(seqlen / chunk);
}

/** Records the gradients of u, of the states before chunks, and of all of the table: of the final state there is none. */
export function recordConvBwd<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  tensors: ConvBwdTensors<K>,
  shape: ConvShape,
): void {
  const { u, table, states, grad_y, grad_u, grad_states, grad_table, partials } = tensors;
  const { batch, chunk, d_model, d_state, lowRank, label } = shape;
  const chunks = chunkCount(shape);
  const { K, O, R, E } = tablePlaces(shape);
  const steps = stepsPanel(shape);
  const befores = slotsPanel(shape, chunks + 1);
  // Of the state after each chunk but the last, of which there is none: those of one chunk have no rows.
  const afters = slotsPanel(shape, chunks, 1);
  const all = { batch, chunks, d_model };
  const followed = { batch, chunks: Math.max(1, chunks - 1), d_model };
  ops.channelMatmul(program, { x: grad_y, weight: part(table, O), y: grad_states }, {
    ...{ ...all, outer: d_state, inner: chunk, form: "transposed" },
    ...{ x: steps, y: slotsPanel(shape, chunks), label: `${label}.states` },
  });
  recordPass(ops, program, { table, states: grad_states }, {
    ...{ ...shape, slots: chunks, count: chunks, reverse: true },
  });
  ops.channelMatmul(program, { x: grad_y, weight: part(table, K), y: grad_u }, {
    ...{ ...all, outer: chunk, inner: chunk, form: "correlation" },
    ...{ x: steps, y: steps, label: `${label}.conv` },
  });
  if (chunks > 1) {
    ops.channelMatmul(program, { x: grad_states, weight: part(table, R), y: grad_u }, {
      ...{ ...followed, outer: chunk, inner: d_state, form: "plain", accumulate: true },
      ...{ x: afters, y: steps, label: `${label}.inputs` },
    });
  }
  const grad = (place: Place) => part<K>(grad_table, place);
  ops.channelCorrelate(program, { p: grad_y, q: u, partials, y: grad(K) }, {
    ...{ ...all, rows: chunk, panel: steps, label: `${label}.K` },
  });
  ops.channelOuter(program, { p: grad_y, q: states, partials, y: grad(O) }, {
    ...{ ...all, outer: chunk, inner: d_state, p: steps, q: befores, label: `${label}.O` },
  });
  ops.channelOuter(program, { p: u, q: grad_states, partials, y: grad(R) }, {
    ...{ ...followed, outer: chunk, inner: d_state, p: steps, q: afters, label: `${label}.R` },
  });
  if (!lowRank) {
    ops.s4dPassBwd(program, { states, grad_states, grad_E: grad(E) }, {
      ...{ batch, d_model, d_state, slots: chunks + 1, gradSlots: chunks, count: chunks },
      label: `${label}.E`,
    });
    return;
  }
  ops.channelOuter(program, { p: grad_states, q: states, partials, y: grad(E) }, {
    ...{ ...followed, outer: d_state, inner: d_state, p: afters, q: befores, label: `${label}.E` },
  });
}

/** Elements of the largest partial sums that it needs. */
export function convBwdPartials<K extends PassKinds>(
  ops: OpSet<K>,
  shape: Omit<ConvShape, "label">,
): number {
  const { batch, chunk, d_model, d_state, lowRank } = shape;
  const all = { batch, chunks: chunkCount(shape), d_model };
  const square = { d_model, outer: d_state, inner: d_state };
  return Math.max(
    ops.channelCorrelateScratch({ ...all, rows: chunk }),
    ops.channelOuterScratch({ ...all, outer: chunk, inner: d_state }),
    lowRank ? ops.channelOuterScratch({ ...all, ...square }) : 0,
    lowRank ? ops.channelOuterScratch({ ...square, batch: 1, chunks: d_state }) : 0,
  );
}

/** Places of the powers of S4's step that its backward makes, of 1, 2, 4, ... steps, below those of a chunk. */
function powerPlaces({ d_model, d_state, chunk }: S4Chunk): Place[] {
  const size = d_state ** 2 * d_model;
  return Array.from(
    { length: Math.log2(chunk) },
    (_, i) => ({ start: i * roundUp(size, VIEW_STEP), size }),
  );
}

/** Elements of what {@linkcode recordPowerBwd} works in: the powers, and gradients of two of them, apart for WebGPU. */
export function powerBwdScratch(
  shape: S4Chunk,
): Readonly<Record<"powers" | "grad_power" | "grad_root", number>> {
  const { start, size } = powerPlaces(shape).at(-1) ?? { start: 0, size: 0 };
  return { powers: start + size, grad_power: size, grad_root: size };
}

/**
 * Records what E, the power of S4's step for a chunk, gives for the step: backwards through the squares that it is made of,
 * M = N N has dN = dM N^T + N^T dM. The gradients of a, p and q are added to grad_system.
 */
export function recordPowerBwd<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  tensors: {
    system: K["tensor"];
    grad_table: K["tensor"];
    grad_system: K["tensor"];
    powers: K["tensor"];
    grad_powers: readonly [K["tensor"], K["tensor"]];
    partials: K["tensor"];
  },
  shape: ConvShape,
): void {
  const { d_model, d_state, label } = shape;
  const { system, grad_system, partials } = tensors;
  const rows = d_state ** 2;
  const columns: Panel = { ldBatch: rows, ldChunk: d_state, limit: rows };
  const square = { batch: 1, chunks: d_state, outer: d_state, inner: d_state, d_model };
  let grad = part<K>(tensors.grad_table, tablePlaces(shape).E);
  for (const [i, place] of [...powerPlaces(shape).entries()].reverse()) {
    const power = part<K>(tensors.powers, place);
    const next = tensors.grad_powers[i % 2 === 0 ? 0 : 1];
    const own = `${label}.power_bwd`;
    ops.s4Power(program, { system, E: power }, { d_model, d_state, steps: 2 ** i, label: own });
    ops.channelMatmul(program, { x: grad, weight: power, y: next }, {
      ...{ ...square, form: "plain", x: columns, y: columns, label: own },
    });
    ops.channelOuter(program, { p: power, q: grad, partials, y: next }, {
      ...{ ...square, p: columns, q: columns, accumulate: true, label: own },
    });
    grad = next;
  }
  ops.s4PowerBwd(program, { system, grad_Abar: grad, grad_system }, {
    ...{ d_model, d_state, label: `${label}.power_bwd` },
  });
}
