import { assertEquals, assertRejects } from "@std/assert";
import { START } from "../../../src/train/batches.ts";
import { mnist1dTask } from "../../../src/train/tasks/mnist1d.ts";
import { seriesTask } from "../../../src/train/tasks/series.ts";

const DATA = new URL("../../../../shared/data/", import.meta.url);
const HAS_DATA = await Deno.stat(DATA).then(() => true, () => false);

async function withPair(
  train: string,
  test: string,
  run: (path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/A_TRAIN.txt`, train);
    await Deno.writeTextFile(`${folder}/A_TEST.txt`, test);
    await run(`${folder}/A_TRAIN.txt`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("seriesTask() takes its preprocessing and labels from the training file", async () => {
  await withPair("5 0 2\n7 2 4\n", "7 4 4\n", async (data) => {
    const task = await seriesTask({ data, hyperparameters: { batchSize: 2 } });
    const { labels, preprocessing, head } = task.config;
    assertEquals(labels, ["5", "7"]);
    assertEquals(preprocessing, { kind: "series", mean: [2], std: [Math.SQRT2] });
    assertEquals(head, { kind: "classifier", n_classes: 2, pool: "mean", bias: true });
    const { inputs, targets, targetCount } = task.validation.batch(START);
    assertEquals([...inputs].slice(0, 2), [Math.SQRT2, Math.SQRT2].map(Math.fround));
    assertEquals([targets[0], targetCount], [1, 1]);
    assertEquals([...task.train.batch(START).targets].toSorted(), [0, 1]);
    assertEquals(task.defaults.seqlen, 2);
  });
});

Deno.test("seriesTask() and mnist1dTask() refuse what cannot be trained on", async () => {
  await assertRejects(() => seriesTask(), TypeError, "it has no data");
  await assertRejects(() => mnist1dTask(), TypeError, "Give mnist1d_data.pkl as data");
  const load = (train: string, test: string) => () =>
    withPair(train, test, async (data) => void await seriesTask({ data }));
  await assertRejects(load("", "1 1"), SyntaxError, "it is empty");
  await assertRejects(load("1 1 2\n1 2 3", "1 1 2"), SyntaxError, "two classes or more");
  await assertRejects(load("1 3 3\n2 3 3", "1 3 3"), RangeError, "standard deviation");
  await withPair("1 1 2\n2 2 3", "1 1 2", async (data) => {
    await assertRejects(
      () => seriesTask({ data, hyperparameters: { seqlen: 5 } }),
      RangeError,
      "seqlen is 5, and its sequences have 2 steps",
    );
    await assertRejects(() => mnist1dTask({ data }), SyntaxError);
  });
});

Deno.test({
  name: "seriesTask() and mnist1dTask() load the published sets",
  ignore: !HAS_DATA,
  async fn() {
    const gunPoint = await seriesTask({ data: new URL("ucr/Gun_Point_TRAIN.txt", DATA).pathname });
    assertEquals(
      gunPoint.summary,
      "50 series of 150 values to train on, 150 to validate with, 2 classes",
    );
    const mnist1d = await mnist1dTask({ data: new URL("mnist1d/mnist1d_data.pkl", DATA).pathname });
    assertEquals([mnist1d.train.seqlen, mnist1d.config.labels?.length], [40, 10]);
    const { inputs } = mnist1d.train.batch(START);
    const mean = [...inputs].reduce((sum, v) => sum + v, 0) / inputs.length;
    assertEquals(Math.abs(mean) < 0.3, true);
  },
});
