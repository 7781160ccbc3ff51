/** What WebGPU can run inside a block, by the names of descriptors: one line each. */

import type { BlockPart } from "../../model/mixers/mixer.ts";
import { webgpuMamba1 } from "./mamba1.ts";
import { webgpuMamba2 } from "./mamba2.ts";
import type { PartTraining, WebGpuPart } from "./part.ts";

const PARTS: Map<string, WebGpuPart> = new Map<string, WebGpuPart>([
  ["mamba1", webgpuMamba1],
  ["mamba2", webgpuMamba2],
]);

/** Adds one that is not of this package, for the descriptor of that name. */
export function registerWebGpuPart(name: string, part: WebGpuPart): void {
  PARTS.set(name, part);
}

/**
 * How WebGPU runs a part.
 *
 * @throws {TypeError} If it cannot.
 */
export function partOf({ name }: BlockPart): WebGpuPart {
  const part = PARTS.get(name);
  if (part === undefined) throw new TypeError(`Cannot run "${name}" on WebGPU: none is registered`);
  return part;
}

/**
 * How WebGPU trains a part.
 *
 * @throws {TypeError} If it cannot.
 */
export function trainingOf(part: BlockPart): PartTraining {
  const { training } = partOf(part);
  if (training === undefined) {
    throw new TypeError(`Cannot train "${part.name}" on WebGPU: it has no backward`);
  }
  return training;
}
