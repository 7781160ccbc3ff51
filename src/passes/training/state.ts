/** The states of blocks in training: what sequences begin with, what is kept, and what is carried on. */

import { copy } from "../forward.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { Named, StateSlot } from "../ops/op.ts";

/** Tensors by the names of what a part carries. */
type States<K extends PassKinds> = Named<string, K["tensor"]>;

/** What becomes of the state of one half of a block. */
export interface KeptState<K extends PassKinds> {
  /** What the sequences begin with, by name; of a piece that is kept at borders it is the same tensor as the state's. */
  readonly initial: States<K>;
  /**
   * Where the state comes from, and where it goes at the end: for a pass that goes on where another ended. Gradients do not
   * go back into it (truncated backpropagation through time).
   *
   * @default {none} All sequences begin with `initial` as it is.
   */
  readonly carried?: States<K> | undefined;
}

/** Records what comes before a half's forward: its state begins as what is carried says, if anything is. */
export function beginState<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { initial, carried }: KeptState<K>,
  state: States<K>,
  label: string,
): void {
  for (const [name, from] of Object.entries(carried ?? {})) {
    const to = slotOf(named(initial, name), from, "first");
    copyState(ops, program, only(from), to, `${label}.take_state.${name}`);
  }
  for (const [name, from] of Object.entries(initial)) {
    const to = named(state, name);
    if (from === to) continue;
    // Forward overwrites it, and backward needs it as it was.
    copy(ops, program, from, to, to.size);
  }
}

/** Records what comes after it: what the sequences ended with is carried on. */
export function leaveState<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { carried }: KeptState<K>,
  state: States<K>,
  label: string,
): void {
  for (const [name, to] of Object.entries(carried ?? {})) {
    const from = slotOf(named(state, name), to, "last");
    copyState(ops, program, from, only(to), `${label}.leave_state.${name}`);
  }
}

function only<K extends PassKinds>(tensor: K["tensor"]): StateSlot<K> {
  return { tensor, slots: 1, slot: 0 };
}

/** Of states (batch, slots, ...), as one state is `like`. */
function slotOf<K extends PassKinds>(
  tensor: K["tensor"],
  like: K["tensor"],
  which: "first" | "last",
): StateSlot<K> {
  const slots = tensor.size / like.size;
  return { tensor, slots, slot: which === "first" ? 0 : slots - 1 };
}

function copyState<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  from: StateSlot<K>,
  to: StateSlot<K>,
  label: string,
): void {
  const [batch = 1] = from.tensor.shape;
  const size = from.tensor.size / batch / from.slots;
  ops.stateCopy(program, { from, to }, { batch, size, label });
}

function named<K extends PassKinds>(tensors: States<K>, name: string): K["tensor"] {
  const tensor = tensors[name];
  if (tensor === undefined) throw new RangeError(`Cannot find "${name}" in the state: it has none`);
  return tensor;
}
