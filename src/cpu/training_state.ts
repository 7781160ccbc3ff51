/** The states of blocks in training: what sequences begin with, what is kept, and what is carried on. */

import { stateCopy, type StateSlot } from "./ops/state_copy.ts";
import { sumPartials } from "./ops/training/sum_partials.ts";
import type { CpuProgram } from "./program.ts";
import type { CpuTensor } from "./tensor.ts";

/** Tensors by the names of what a part carries. */
type States = Readonly<Record<string, CpuTensor>>;

/** What becomes of the state of one half of a block. */
export interface KeptState {
  /** What the sequences begin with, by name; of a piece that is kept at borders it is the same tensor as the state's. */
  readonly initial: States;
  /**
   * Where the state comes from, and where it goes at the end: for a pass that goes on where another ended. Gradients do not
   * go back into it (truncated backpropagation through time).
   *
   * @default {none} All sequences begin with `initial` as it is.
   */
  readonly carried?: States | undefined;
}

/** Records what comes before a half's forward: its state begins as what is carried says, if anything is. */
export function beginState(
  program: CpuProgram,
  { initial, carried }: KeptState,
  state: States,
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
  program: CpuProgram,
  { carried }: KeptState,
  state: States,
  label: string,
): void {
  for (const [name, to] of Object.entries(carried ?? {})) {
    const from = slotOf(named(state, name), to, "last");
    copyState(program, from, only(to), `${label}.leave_state.${name}`);
  }
}

function only(tensor: CpuTensor): StateSlot {
  return { tensor, slots: 1, slot: 0 };
}

/** Of states (batch, slots, ...), as one state is `like`. */
function slotOf(tensor: CpuTensor, like: CpuTensor, which: "first" | "last"): StateSlot {
  const slots = tensor.size / like.size;
  return { tensor, slots, slot: which === "first" ? 0 : slots - 1 };
}

function copyState(program: CpuProgram, from: StateSlot, to: StateSlot, label: string): void {
  const [batch = 1] = from.tensor.shape;
  const size = from.tensor.size / batch / from.slots;
  stateCopy(program, { from, to }, { batch, size, label });
}

function named(tensors: States, name: string): CpuTensor {
  const tensor = tensors[name];
  if (tensor === undefined) throw new RangeError(`Cannot find "${name}" in the state: it has none`);
  return tensor;
}
