import { assertEquals } from "@std/assert";
import { assertClose } from "../../assert_close.ts";
import { at } from "../../../src/checks/reference/at.ts";

const H = 1e-5;
// What central differences leave in float64: h^2 times a third derivative, and the loss's rounding
// over h.
const LIMITS = { rtol: 1e-6, atol: 1e-8 };

/**
 * Asserts that each `grad_<name>` is the gradient of `loss` by `<name>`, by central differences of
 * h = 1e-5, one element after the other.
 *
 * @param inputs Arrays by name; every one must have its gradient, and the other way round
 * @param loss A scalar function of them, which must not change them
 */
export function assertGradients<Name extends string>(
  inputs: Readonly<Record<Name, Float64Array>>,
  gradients: Readonly<Record<string, Float64Array>>,
  loss: (inputs: Readonly<Record<Name, Float64Array>>) => number,
): void {
  const entries = Object.entries<Float64Array>(inputs);
  assertEquals(Object.keys(gradients).sort(), entries.map(([name]) => `grad_${name}`).sort());
  for (const [name, values] of entries) {
    const differences = Float64Array.from(values, (value, i) => {
      const lossAt = (moved: number) =>
        loss({ ...inputs, [name]: values.map((v, j) => i === j ? moved : v) });
      return (lossAt(value + H) - lossAt(value - H)) / (2 * H);
    });
    assertClose(gradients[`grad_${name}`] ?? [], differences, { name: `grad_${name}`, ...LIMITS });
  }
}

/** A scalar that depends on every element, whose gradient by `values` is `weights`. */
export function weightedSum(values: ArrayLike<number>, weights: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += at(values, i) * at(weights, i);
  return sum;
}
