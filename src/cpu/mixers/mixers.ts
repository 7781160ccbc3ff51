/** What the CPU can run inside a block, by the names of descriptors: one line each. */

import type { BlockPart } from "../../model/mixers/mixer.ts";
import { cpuMamba1 } from "./mamba1.ts";
import { cpuMamba2 } from "./mamba2.ts";
import type { CpuPart, CpuPartTraining } from "./part.ts";

const PARTS: Map<string, CpuPart> = new Map<string, CpuPart>([
  ["mamba1", cpuMamba1],
  ["mamba2", cpuMamba2],
]);

/** Adds one that is not of this package, for the descriptor of that name. */
export function registerCpuPart(name: string, part: CpuPart): void {
  PARTS.set(name, part);
}

/**
 * How the CPU runs a part.
 *
 * @throws {TypeError} If it cannot.
 */
export function partOf({ name }: BlockPart): CpuPart {
  const part = PARTS.get(name);
  if (part === undefined) {
    throw new TypeError(`Cannot run "${name}" on the CPU: none is registered`);
  }
  return part;
}

/**
 * How the CPU trains a part.
 *
 * @throws {TypeError} If it cannot.
 */
export function trainingOf(part: BlockPart): CpuPartTraining {
  const { training } = partOf(part);
  if (training === undefined) {
    throw new TypeError(`Cannot train "${part.name}" on the CPU: it has no backward`);
  }
  return training;
}
