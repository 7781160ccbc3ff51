/** Whether a model fits into the module's memory, before its weights are read. */

import { isQuantized, type MatrixDType } from "../model/weights/dtype.ts";
import type { LoadPlan } from "../model/weights/load_plan.ts";
import { elementCount } from "../model/shapes.ts";
import { stateLayout } from "../model/state_layout.ts";
import type { WeightSpec } from "../model/weights/weight_specs.ts";
import { cpuMatrixBytes } from "./machine/matrix.ts";
import { MAX_MEMORY_BYTES } from "./machine/memory.ts";

/**
 * What running takes beside weights and states: activations and logits of a piece of a prompt (some 32 and 19 MiB, see
 * the executor), and what threads work in.
 */
const WORKING_BYTES = 128 * 2 ** 20;

/** States of a session: its own, and the one that a burst of draws goes back to. */
const SESSION_STATES = 2;

/** What to load a model as where it does not fit, the most faithful first. */
const SMALLER_DTYPES = ["f16", "int8", "int4"] as const;

/** Bytes that a weight takes; those that are never quantized are f16 beside others. */
export function weightSize(
  { kind, shape, neverQuantized }: WeightSpec,
  dtype: MatrixDType,
): number {
  if (kind === "vector") return elementCount(shape) * 4;
  const [rows = 0, columns = 0] = shape;
  const own = neverQuantized && isQuantized(dtype) ? "f16" : dtype;
  return cpuMatrixBytes([rows, columns], own);
}

/**
 * Refuses a model that 32-bit addresses cannot hold.
 *
 * @throws {RangeError} With the sum, the limit, and what to load the weights as.
 */
export function requireRoom({ name, config, weights }: LoadPlan): void {
  const beside = SESSION_STATES * stateLayout(config, 1).sizeBytes + WORKING_BYTES;
  const sum = (dtype?: MatrixDType) =>
    weights.reduce((bytes, { spec, dtype: own }) => bytes + weightSize(spec, dtype ?? own), beside);
  const needed = sum();
  if (needed <= MAX_MEMORY_BYTES) return;
  const smaller = SMALLER_DTYPES.find((dtype) => sum(dtype) <= MAX_MEMORY_BYTES);
  throw new RangeError(
    `Cannot load "${name}": weights take ${
      needed - beside
    } bytes, states and working memory ${beside}: ${needed} ` +
      `in all, and the CPU executor reaches ${MAX_MEMORY_BYTES}. ` +
      (smaller === undefined ? "Use a GPU, or a smaller model" : `Load the weights as ${smaller}`),
  );
}
