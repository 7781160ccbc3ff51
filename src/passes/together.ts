/** Tensors that lie in one, so that an op can have them as one binding: WebGPU promises a kernel only eight. */

import { roundUp } from "../model/shapes.ts";
import { type PassTensor, VIEW_STEP } from "./kinds.ts";

/** Elements of a tensor that has room for {@linkcode viewsOf} these sizes, in any order. */
export function sizeTogether(sizes: Readonly<Record<string, number>>): number {
  const all = Object.values(sizes);
  // Not rounded: what holds activations must grow evenly with their rows.
  return all.reduce((total, size) => total + size, (all.length - 1) * VIEW_STEP);
}

/** Views of these sizes, one behind the other in a tensor of {@linkcode sizeTogether} elements. */
export function viewsOf<T extends PassTensor, N extends string>(
  tensor: T,
  sizes: Readonly<Record<N, number>>,
): Record<N, T> {
  let start = 0;
  return mapValues(sizes, (size) => {
    const view = tensor.view(start * 4, [size]);
    start = roundUp(start + size, VIEW_STEP);
    return view;
  });
}

/** Sizes of the tensors to allocate for these, of which those named `together` lie in one, by the first of their names. */
export function joinSizes(
  sizes: Readonly<Record<string, number>>,
  together: readonly string[],
): Record<string, number> {
  const [first] = together;
  if (first === undefined) return { ...sizes };
  const apart = Object.entries(sizes).filter(([name]) => !together.includes(name));
  return { ...Object.fromEntries(apart), [first]: sizeTogether(pick(sizes, together)) };
}

/** Tensors of these sizes, from what makes the joined ones by their names and sizes. */
export function makeTogether<T extends PassTensor>(
  sizes: Readonly<Record<string, number>>,
  together: readonly string[],
  make: (name: string, size: number) => T,
): Record<string, T> {
  const made = mapValues(joinSizes(sizes, together), (size, name) => make(name, size));
  const [first = ""] = together;
  const joined = made[first];
  return joined === undefined ? made : { ...made, ...viewsOf(joined, pick(sizes, together)) };
}

/** Something else by the same names. */
export function mapValues<From, To, N extends string>(
  record: Readonly<Record<N, From>>,
  map: (value: From, name: string) => To,
): Record<N, To> {
  const entries = Object.entries<From>(record).map(([name, value]) => [name, map(value, name)]);
  return Object.fromEntries(entries) as Record<N, To>;
}

function pick(
  sizes: Readonly<Record<string, number>>,
  names: readonly string[],
): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, sizes[name] ?? 0]));
}
