import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { IGNORED } from "../../src/model/training_executor.ts";
import {
  type Batch,
  type Draw,
  type Examples,
  orderedSource,
  type Position,
  shuffledSource,
  type Source,
  START,
} from "../../src/train/batches.ts";

/** Example i is the class i, after two steps of 10 i and of the epoch. */
function numbered(count: number): Examples {
  return {
    count,
    seqlen: 2,
    read: (draws: readonly Draw[]) => ({
      inputs: Float32Array.from(draws.flatMap(({ example, epoch }) => [10 * example, epoch])),
      targets: Uint32Array.from(draws, ({ example }) => example),
    }),
  };
}

function take(source: Source, count: number, from: Position = START): Batch[] {
  const batches: Batch[] = [];
  for (let position = from; batches.length < count;) {
    const batch = source.batch(position);
    batches.push(batch);
    position = batch.next;
  }
  return batches;
}

Deno.test("shuffledSource() uses each example once an epoch, across batches that reach into the next", () => {
  const source = shuffledSource(numbered(10), { batchSize: 4, seed: 1 });
  assertEquals(source.batchesPerEpoch, 2.5);
  const batches = take(source, 5);
  const classes = batches.flatMap(({ targets }) => [...targets]);
  const all = Array.from({ length: 10 }, (_, i) => i);
  assertEquals(classes.slice(0, 10).toSorted((a, b) => a - b), all);
  assertEquals(classes.slice(10).toSorted((a, b) => a - b), all);
  assertNotEquals(classes.slice(0, 10), classes.slice(10));
  assertNotEquals(classes.slice(0, 10), all);
  for (const { batch, seqlen, inputs, targets, targetCount, continues } of batches) {
    assertEquals([batch, seqlen, inputs.length, targets.length], [4, 2, 8, 4]);
    assertEquals([targetCount, continues], [4, false]);
    assertEquals([...targets], [0, 1, 2, 3].map((i) => (inputs[2 * i] ?? NaN) / 10));
  }
  const epochs = batches.flatMap(({ inputs }) => [1, 3, 5, 7].map((i) => inputs[i]));
  assertEquals(epochs, [...new Array(10).fill(0), ...new Array(10).fill(1)]);
  assertEquals(batches.at(-1)?.next, { epoch: 2, index: 0 });
});

Deno.test("shuffledSource() goes on from any position, read back from JSON, as if never left", () => {
  const whole = take(shuffledSource(numbered(7), { batchSize: 3, seed: 5 }), 12);
  for (let split = 0; split < 11; split++) {
    const position: Position = JSON.parse(JSON.stringify(whole[split]?.next));
    const rest = take(shuffledSource(numbered(7), { batchSize: 3, seed: 5 }), 11 - split, position);
    assertEquals(rest, whole.slice(split + 1));
  }
});

Deno.test("shuffledSource() has another order with another seed, and fills batches larger than the set", () => {
  const classes = (
    seed: number,
  ) => [...shuffledSource(numbered(50), { batchSize: 50, seed }).batch(START).targets];
  assertEquals(classes(1), classes(1));
  assertNotEquals(classes(1), classes(2));
  const { targets, next } = shuffledSource(numbered(3), { batchSize: 8, seed: 1 }).batch(START);
  assertEquals(targets.length, 8);
  assertEquals(next, { epoch: 2, index: 2 });
});

Deno.test("orderedSource() counts every example once and keeps the last batch's shape", () => {
  const source = orderedSource(numbered(10), { batchSize: 4 });
  const batches = take(source, source.batchesPerEpoch);
  assertEquals(batches.map(({ targets }) => [...targets]), [
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9, IGNORED, IGNORED],
  ]);
  assertEquals(batches.map(({ targetCount }) => targetCount), [4, 4, 2]);
  assertEquals(batches.map(({ next }) => next), [
    { epoch: 0, index: 4 },
    { epoch: 0, index: 8 },
    { epoch: 1, index: 0 },
  ]);
  // Real data in the unused places: no kernel sees an input that the data would not have.
  assertEquals([...batches[2]?.inputs ?? []], [80, 0, 90, 0, 90, 0, 90, 0]);
});

Deno.test("orderedSource() ignores all targets of a sequence that fills up a batch", () => {
  const examples: Examples = {
    count: 1,
    seqlen: 3,
    read: (draws) => ({
      inputs: new Uint32Array(draws.length * 3),
      targets: new Uint32Array(draws.length * 3).fill(7),
    }),
  };
  const { targets, targetCount } = orderedSource(examples, { batchSize: 2 }).batch(START);
  assertEquals([...targets], [7, 7, 7, IGNORED, IGNORED, IGNORED]);
  assertEquals(targetCount, 3);
});

Deno.test("sources refuse sizes and positions that are none", () => {
  for (const batchSize of [0, -1, 1.5, NaN]) {
    for (const make of [shuffledSource, orderedSource]) {
      assertThrows(() => make(numbered(3), { batchSize, seed: 1 }), RangeError, `of ${batchSize}`);
    }
  }
  assertThrows(() => orderedSource(numbered(0), { batchSize: 1 }), RangeError, "no examples");
  const source = shuffledSource(numbered(3), { batchSize: 1, seed: 1 });
  for (
    const position of [{ epoch: 0, index: 3 }, { epoch: -1, index: 0 }, { epoch: 0, index: 0.5 }]
  ) {
    const error = assertThrows(() => source.batch(position), RangeError, "Cannot go to position");
    assert(error.message.includes("an epoch has 3"));
  }
});
