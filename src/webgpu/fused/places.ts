/** Where a model's weights lie, as kernels of whole steps are told: one stride from layer to layer, or not at all. */

import { OFFSET_ALIGNMENT, type Tensor } from "../../gpu/tensor.ts";
import type { Matrix } from "../../ops/matrix.ts";

/** Buffers of weights that a kernel of whole steps binds. */
export const MAX_ARENAS = 3;

/** A weight, or none where the model has none. */
export type Placed = Matrix | Tensor | undefined;

/** Where all weights lie: in vec4s of the buffers. */
export interface Places<End extends string, Own extends string> {
  readonly buffers: readonly GPUBuffer[];
  /** Of the ends, in the first buffer. */
  readonly ends: Readonly<Record<End, number>>;
  /** Of a layer's weights, from where it begins. */
  readonly own: Readonly<Record<Own, number>>;
  /** Layers in the first buffer, and in each of the others. */
  readonly layers: readonly [first: number, others: number];
  readonly firstLayer: number;
  readonly layerVecs: number;
}

/** Says why a kernel cannot have the weights. */
export class PlacesError extends TypeError {
  override readonly name = "PlacesError";
}

/**
 * Finds the places.
 *
 * @throws {PlacesError} If the weights do not lie evenly, or in too many buffers.
 */
export function findPlaces<End extends string, Own extends string>(
  ends: Readonly<Record<End, Placed>>,
  layers: readonly Readonly<Record<Own, Placed>>[],
): Places<End, Own> {
  const placedEnds = placesOf(ends);
  const placedLayers = layers.map((layer) => placesOf(layer));
  const buffers = [...new Set([placedEnds, ...placedLayers].map(({ buffer }) => buffer))];
  const [first] = placedLayers;
  const [ofEnds] = buffers;
  if (first === undefined || ofEnds === undefined) {
    throw new PlacesError("there are no layers");
  }
  if (buffers.length > MAX_ARENAS) {
    throw new PlacesError(
      `the weights take ${buffers.length} buffers on this device, and ${MAX_ARENAS} at most are bound`,
    );
  }
  const inBuffer = buffers.map((buffer) => placedLayers.filter((layer) => layer.buffer === buffer));
  const [inFirst = [], ...inOthers] = inBuffer;
  const [others = inFirst] = inOthers;
  const layerVecs = first.vecs;
  const starts = inBuffer.flatMap((placed, index) =>
    placed.map((_, layer) => (index === 0 ? placed[0]?.start ?? 0 : 0) + layer * layerVecs)
  );
  const own = relative(first);
  const isEven =
    placedLayers.every((layer, index) =>
      layer.start === starts[index] && same(relative(layer), own)
    ) && inOthers.every((placed, index) =>
      index === inOthers.length - 1
        ? placed.length <= others.length
        : placed.length === others.length
    );
  if (!isEven) {
    throw new PlacesError("the weights of one layer lie otherwise than those of another");
  }
  return {
    buffers,
    ends: placedEnds.at,
    own,
    layers: [inFirst.length, Math.max(1, others.length)],
    firstLayer: inFirst[0]?.start ?? 0,
    layerVecs,
  };
}

interface PlacedGroup<Name extends string> {
  readonly buffer: GPUBuffer;
  /** Its first vec4, and how many it takes. */
  readonly start: number;
  readonly vecs: number;
  /** By name; 0 for what is absent. */
  readonly at: Readonly<Record<Name, number>>;
}

function placesOf<Name extends string>(
  group: Readonly<Record<Name, Placed>>,
): PlacedGroup<Name> {
  const tensors = Object.entries<Placed>(group).map(([name, placed]) =>
    [name, tensorOf(name, placed)] as const
  );
  const present = tensors.flatMap(([, tensor]) => tensor ?? []);
  const [first] = present;
  if (first === undefined || present.some(({ buffer }) => buffer !== first.buffer)) {
    throw new PlacesError(`the weights ${Object.keys(group).join(", ")} lie in several buffers`);
  }
  const start = Math.min(...present.map(({ offset }) => offset));
  const end = Math.max(...present.map(({ offset, sizeBytes }) => offset + sizeBytes));
  const step = OFFSET_ALIGNMENT;
  return {
    buffer: first.buffer,
    start: start / 16,
    vecs: Math.ceil((end - start) / step) * step / 16,
    at: Object.fromEntries(
      tensors.map(([name, tensor]) => [name, (tensor?.offset ?? 0) / 16]),
    ) as Record<Name, number>,
  };
}

function tensorOf(name: string, placed: Placed): Tensor | undefined {
  if (placed === undefined || !("blocks" in placed)) return placed;
  const [block, ...others] = placed.blocks;
  if (others.length > 0) {
    throw new PlacesError(`${name} does not fit in one binding of this device`);
  }
  return block?.tensor;
}

function relative<Name extends string>(
  { at, start }: PlacedGroup<Name>,
): Readonly<Record<Name, number>> {
  const entries = Object.entries<number>(at).map(([name, place]) =>
    [name, Math.max(0, place - start)] as const
  );
  return Object.fromEntries(entries) as Record<Name, number>;
}

function same(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): boolean {
  return Object.entries(a).every(([name, value]) => b[name] === value);
}
