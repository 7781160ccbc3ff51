import { assert, assertEquals, assertThrows } from "@std/assert";
import { IGNORED } from "../../src/model/training_executor.ts";
import { orderedSource, type Position, START } from "../../src/train/batches.ts";
import { laneSource, textWindows } from "../../src/train/text_windows.ts";

const count = (length: number) => Uint32Array.from({ length }, (_, i) => i);

Deno.test("textWindows() covers every target once, with the next id as target", () => {
  for (const length of [2, 5, 9, 10, 11]) {
    const windows = textWindows(count(length), { seqlen: 4 });
    const source = orderedSource(windows, { batchSize: 2 });
    const targets: number[] = [];
    for (let position: Position = START; position.epoch === 0;) {
      const batch = source.batch(position);
      batch.targets.forEach((target, i) => {
        if (target === IGNORED) return;
        assertEquals(target, (batch.inputs[i] ?? NaN) + 1);
        targets.push(target);
      });
      position = batch.next;
    }
    assertEquals(targets, Array.from({ length: length - 1 }, (_, i) => i + 1));
  }
});

Deno.test("textWindows() moves whole windows each epoch, inside the text", () => {
  const ids = count(43);
  const windows = textWindows(ids, { seqlen: 5, seed: 1 });
  const starts = new Set<number>();
  const used = new Set<number>();
  for (let epoch = 0; epoch < 60; epoch++) {
    const draws = Array.from({ length: windows.count }, (_, example) => ({ example, epoch }));
    const { inputs, targets } = windows.read(draws);
    inputs.forEach((id, i) => assertEquals([id, targets[i]], [(inputs[0] ?? NaN) + i, id + 1]));
    starts.add(inputs[0] ?? NaN);
    for (const target of targets) used.add(target);
  }
  assertEquals([...starts].toSorted(), [0, 1, 2, 3, 4]);
  assertEquals(windows.count, 7);
  assertEquals(Math.max(...used) <= 42 && used.size > 38, true);
});

Deno.test("textWindows() makes one window of the shortest text that fills it", () => {
  const windows = textWindows(count(6), { seqlen: 5, seed: 1 });
  assertEquals(windows.count, 1);
  assertEquals([...windows.read([{ example: 0, epoch: 3 }]).targets], [1, 2, 3, 4, 5]);
  assertThrows(
    () => textWindows(count(5), { seqlen: 5, seed: 1 }),
    RangeError,
    "it has 5 ids, and at least 6 are needed. Give a longer text",
  );
  assertThrows(() => textWindows(count(1), { seqlen: 5 }), RangeError, "at least 2 are needed");
  assertThrows(() => textWindows(count(9), { seqlen: 0 }), RangeError, "windows of 0 steps");
});

Deno.test("laneSource() lets window n + 1 of a lane follow window n", () => {
  const source = laneSource(count(100), { batchSize: 3, seqlen: 7, seed: 4 });
  assertEquals(source.batchesPerEpoch, 4);
  const offsets = new Set<number>();
  let position = START;
  for (let epoch = 0; epoch < 20; epoch++) {
    let ends: number[] | undefined;
    for (let window = 0; window < 4; window++) {
      const batch = source.batch(position);
      assertEquals(batch.continues, window > 0);
      const lanes = [0, 1, 2].map((lane) => [...batch.inputs.subarray(lane * 7, lane * 7 + 7)]);
      for (const [lane, ids] of lanes.entries()) {
        assertEquals(ids, Array.from({ length: 7 }, (_, i) => (ids[0] ?? NaN) + i));
        if (ends !== undefined) assertEquals(ids[0], (ends[lane] ?? NaN) + 1);
      }
      assertEquals([...batch.targets], [...batch.inputs].map((id) => id + 1));
      if (window === 0) offsets.add(lanes[0]?.[0] ?? NaN);
      ends = lanes.map((ids) => ids[6] ?? NaN);
      position = JSON.parse(JSON.stringify(batch.next));
    }
    assertEquals(position, { epoch: epoch + 1, index: 0 });
  }
  assert(offsets.size > 3);
});

Deno.test("laneSource() without a seed counts every target once, in any number of lanes", () => {
  for (const length of [2, 3, 20, 50, 57, 58]) {
    for (const batchSize of [1, 2, 3, 8]) {
      const source = laneSource(count(length), { batchSize, seqlen: 4 });
      const seen: number[] = [];
      for (let position: Position = START; position.epoch === 0;) {
        const { inputs, targets, targetCount, next } = source.batch(position);
        const counted = [...targets].filter((target) => target !== IGNORED);
        assertEquals(targetCount, counted.length);
        targets.forEach((target, i) =>
          target === IGNORED || assertEquals(target, (inputs[i] ?? NaN) + 1)
        );
        seen.push(...counted);
        position = next;
      }
      assertEquals(
        seen.toSorted((a, b) => a - b),
        Array.from({ length: length - 1 }, (_, i) => i + 1),
      );
    }
  }
});

Deno.test("laneSource() refuses a text too short for its lanes", () => {
  assertThrows(
    () => laneSource(count(21), { batchSize: 3, seqlen: 7, seed: 1 }),
    RangeError,
    "it has 21 ids, and at least 22 are needed",
  );
  assertThrows(() => laneSource(count(9), { batchSize: 0, seqlen: 7 }), RangeError, "into 0 lanes");
});

Deno.test("laneSource() moves its lanes with the seed", () => {
  const starts = [1, 2, 3, 4, 5, 6].map((seed) =>
    laneSource(count(97), { batchSize: 2, seqlen: 8, seed }).batch(START).inputs[0]
  );
  assertEquals(new Set(starts).size > 2, true);
});
