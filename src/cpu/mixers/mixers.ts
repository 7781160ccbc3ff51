/** The parts of blocks that the CPU runs: one line each. */

import type { BlockPart } from "../../model/mixers/mixer.ts";
import { mamba1 } from "./mamba1.ts";
import { mamba2 } from "./mamba2.ts";
import type { CpuPart } from "./mixer.ts";

const PARTS: CpuPart[] = [
  mamba1,
  mamba2,
];

/** Adds one that is not of this package: see registerMixer() of src/model/mixers. */
export function registerCpuPart(part: CpuPart): void {
  PARTS.push(part);
}

/**
 * The CPU's side of a part.
 *
 * @throws {TypeError} If there is none.
 */
export function partOf({ name }: Pick<BlockPart, "name">): CpuPart {
  const part = PARTS.find((each) => each.name === name);
  if (part === undefined) {
    throw new TypeError(`Cannot run "${name}" on the CPU: no ops are registered for it`);
  }
  return part;
}
