import { assert, assertEquals, assertRejects } from "@std/assert";
import { START } from "../../../src/train/batches.ts";
import { mnistTask } from "../../../src/train/tasks/mnist.ts";
import { mnistPixelsTask } from "../../../src/train/tasks/mnist_pixels.ts";

Deno.test("mnistTask() makes batches of rows, and keeps images apart to validate with", async () => {
  const { config, train, validation, test, defaults, summary } = await mnistTask();
  assertEquals(config.input, { kind: "linear", d_input: 28, bias: true });
  assertEquals(config.labels?.length, 10);
  const { inputs, targets, batch, seqlen } = train.batch(START);
  assertEquals([batch, seqlen, inputs.length], [defaults.batchSize, 28, defaults.batchSize * 784]);
  assert(inputs instanceof Float32Array && targets.every((label) => label < 10));
  // Standardized pixels: background is -0.1307 / 0.3081.
  assertEquals(inputs[0], Math.fround(-0.1307 / 0.3081));
  assertEquals(train.batchesPerEpoch, 55_000 / defaults.batchSize);
  assertEquals(validation.batchesPerEpoch, Math.ceil(5000 / defaults.batchSize));
  assertEquals(test?.batchesPerEpoch, Math.ceil(10_000 / defaults.batchSize));
  assertEquals(
    summary,
    "55,000 images to train on, 5,000 to validate with, 10,000 to test with",
  );
  // The images that validate are the last of the training split: their labels are 8, 3, 5, 6, 8 at the end.
  let last: number[] = [];
  for (let position = START; position.epoch === 0;) {
    const { targets, targetCount, next } = validation.batch(position);
    last = [...targets.subarray(0, targetCount)];
    position = next;
  }
  assertEquals(last.slice(-5), [8, 3, 5, 6, 8]);
});

Deno.test("mnistTask() has a preset of one pixel a step, and can validate with the test images", async () => {
  const task = await mnistTask({
    preset: "pixels",
    heldOut: 0,
    hyperparameters: { batchSize: 2 },
    model: { d_model: 16 },
  });
  assertEquals([task.config.d_model, task.train.seqlen, task.test], [16, 784, undefined]);
  assertEquals(task.validation.batchesPerEpoch, 5000);
  assertEquals([...task.validation.batch(START).targets], [7, 2]);
  assertEquals(task.summary, "60,000 images to train on, 10,000 to validate with");
});

Deno.test("mnistTask() refuses options and data that it cannot use", async () => {
  await assertRejects(() => mnistTask({ preset: "columns" }), RangeError, "expected rows, pixels");
  await assertRejects(
    () => mnistTask({ hyperparameters: { seqlen: 30 } }),
    RangeError,
    "seqlen is 30, and its sequences have 28 steps",
  );
  await assertRejects(() => mnistTask({ heldOut: 60_000 }), RangeError, "Cannot hold out 60000");
  await assertRejects(() => mnistTask({ data: "/nowhere" }), Deno.errors.NotFound);
});

Deno.test("mnistPixelsTask() predicts pixels after the digit's own id", async () => {
  const { config, validation } = await mnistPixelsTask({ hyperparameters: { batchSize: 3 } });
  assertEquals(config.input, { kind: "embedding", vocab_size: 266 });
  assertEquals(config.real_vocab_size, 256);
  assertEquals(config.preprocessing, { kind: "pixels", width: 28, height: 28 });
  assertEquals(config.labels?.[7], "7");
  const { inputs, targets, targetCount } = validation.batch(START);
  assertEquals([inputs.length, targetCount], [3 * 784, 3 * 784]);
  for (const image of [0, 1, 2]) {
    const first = inputs[image * 784] ?? NaN;
    assert(first >= 256 && first < 266);
  }
  assert(targets.every((value) => value < 256));
  assertEquals(inputs.subarray(1, 784), targets.subarray(0, 783));
  const other = await mnistPixelsTask({ preset: "unconditional" });
  assertEquals(other.config.input, { kind: "embedding", vocab_size: 257 });
  assertEquals(other.config.labels, undefined);
  assertEquals(other.validation.batch(START).inputs[0], 256);
});

Deno.test("mnistPixelsTask() moves training images in the first four fifths of a run", async () => {
  const hyperparameters = { batchSize: 2, steps: 5 * 60_000 / 2 };
  const task = async (shift?: number) =>
    await mnistPixelsTask({
      ...{ heldOut: 0, hyperparameters },
      ...(shift === undefined ? {} : { changes: { shift } }),
    });
  const still = await task(), moving = await task(2);
  const hasMoved = (epoch: number) => {
    const [moved, original] = [moving, still].map(({ train }) => train.batch({ epoch, index: 8 }));
    return moved?.targets.join() !== original?.targets.join();
  };
  assertEquals([0, 1, 2, 3, 4, 5].map(hasMoved), [true, true, true, true, false, false]);
  assertEquals(moving.validation.batch(START), still.validation.batch(START));
  // A run goes on with the same changes alone: they are in what it is compared by.
  assertEquals(
    [still, moving, await task(1)].map(({ summary }) => summary.split(", 10")[0]),
    ["", " (shift 2)", " (shift 1)"].map((changes) => `60,000 images to train on${changes}`),
  );
  await assertRejects(() => task(0.5), RangeError, "expected a whole number of pixels from 0");
  await assertRejects(
    () => mnistPixelsTask({ changes: { tilt: 1 } }),
    RangeError,
    'Cannot load the task "mnist-pixels" with tilt: of the changes it takes shift alone',
  );
});
