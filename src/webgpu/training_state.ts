/** The states of blocks in training: what sequences begin with, what is kept, and what is carried on. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { stateCopy, type StateSlot } from "../ops/state_copy.ts";
import { sumPartials } from "../ops/sum_partials.ts";
import type { StateTensors } from "./mixers/part.ts";

/** What becomes of the state of one half of a block. */
export interface KeptState {
  /** What the sequences begin with, by name; of a piece that is kept at borders it is the same tensor as the state's. */
  readonly initial: StateTensors;
  /**
   * Where the state comes from, and where it goes at the end: for a pass that goes on where another ended. Gradients do not
   * go back into it (truncated backpropagation through time).
   *
   * @default {none} All sequences begin with `initial` as it is.
   */
  readonly carried?: StateTensors | undefined;
}

/** Records what comes before a half's forward: its state begins as what is carried says, if anything is. */
export function beginState(
  program: Program,
  { initial, carried }: KeptState,
  state: StateTensors,
  label: string,
): void {
  for (const [name, from] of Object.entries(carried ?? {})) {
    const to = slotOf(named(initial, name), from, "first");
    copyState(program, only(from), to, `${label}.take_state.${name}`);
  }
  for (const [name, from] of Object.entries(initial)) {
    const to = named(state, name);
    if (from === to) continue;
    // Forward overwrites it, and backward needs it as it was.
    const shape = { parts: 1, size: to.size, label: "copy" };
    sumPartials(program, { partials: from, y: to }, shape);
  }
}

/** Records what comes after it: what the sequences ended with is carried on. */
export function leaveState(
  program: Program,
  { carried }: KeptState,
  state: StateTensors,
  label: string,
): void {
  for (const [name, to] of Object.entries(carried ?? {})) {
    const from = slotOf(named(state, name), to, "last");
    copyState(program, from, only(to), `${label}.leave_state.${name}`);
  }
}

function only(tensor: Tensor): StateSlot {
  return { tensor, slots: 1, slot: 0 };
}

/** Of states (batch, slots, ...), as one state is `like`. */
function slotOf(tensor: Tensor, like: Tensor, which: "first" | "last"): StateSlot {
  const slots = tensor.size / like.size;
  return { tensor, slots, slot: which === "first" ? 0 : slots - 1 };
}

function copyState(program: Program, from: StateSlot, to: StateSlot, label: string): void {
  const [batch = 1] = from.tensor.shape;
  const size = from.tensor.size / batch / from.slots;
  stateCopy(program, { from, to }, { batch, size, label });
}

function named(tensors: StateTensors, name: string): Tensor {
  const tensor = tensors[name];
  if (tensor === undefined) throw new RangeError(`Cannot find "${name}" in the state: it has none`);
  return tensor;
}
