import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { type Hyperparameters, loadModel, loadTask, train } from "../../mod.ts";
import { infer } from "../../src/cli/infer/infer.ts";
import { splitText } from "../../src/io/datasets/text.ts";
import { FakeTerminal } from "../cli/terminal/fake_terminal.ts";
import { defined } from "../defined.ts";
import { goldenPath } from "../golden_files.ts";
import "../settle_readbacks.ts";

/** Mean of -logprob over what was foreseen, and how much that was. */
async function meanOf(
  scores: AsyncIterable<{ readonly logprob: number }>,
): Promise<[number, number]> {
  const foreseen = (await Array.fromAsync(scores)).filter(({ logprob }) => !Number.isNaN(logprob));
  const sum = foreseen.reduce((total, { logprob }) => total - logprob, 0);
  return [sum / foreseen.length, foreseen.length];
}

/** What `score --json` prints, of which this is needed. */
interface ScoreResult {
  readonly scored: number;
  readonly scores: readonly unknown[];
  readonly natsPerToken: number;
}

/** A text's model, trained for some steps: its best validation loss, and what `score` says of the same text. */
async function trainAndScore(
  hyperparameters: Partial<Hyperparameters>,
  test: (trained: {
    loss: number;
    length: number;
    score: (...options: string[]) => Promise<ScoreResult>;
  }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const words = ["to be", "or not", "to be,", "that is", "the", "question\n"];
    const text = Array.from({ length: 400 }, (_, i) => words[(i * i + 5 * i) % 13 % 6]).join(" ");
    await Deno.writeTextFile(`${folder}/text.txt`, text);
    const { validation } = splitText(text);
    await Deno.writeTextFile(`${folder}/validation.txt`, validation);
    const task = await loadTask("text", {
      data: `${folder}/text.txt`,
      hyperparameters: {
        steps: 20,
        batchSize: 4,
        seqlen: 24,
        evaluateEvery: 10,
        ...hyperparameters,
      },
      model: { d_model: 16, n_layer: 2 },
    });
    let loss = Infinity;
    for await (const step of train(task, { out: `${folder}/out` })) {
      loss = Math.min(loss, step.validation?.loss ?? Infinity);
    }
    const score = async (...options: string[]) => {
      const terminal = new FakeTerminal();
      const args = ["score", `${folder}/out`, "--text", `${folder}/validation.txt`, ...options];
      assertEquals(await infer([...args, "--json"], terminal), 0, terminal.stderr);
      return JSON.parse(terminal.stdout);
    };
    await test({ loss, length: validation.length, score });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("infer() score --window gives the validation loss of training in windows", () =>
  trainAndScore({}, async ({ loss, length, score }) => {
    const windows = await score("--window", "24");
    assertEquals([windows.scored, windows.scores.length], [length - 1, length]);
    assertAlmostEquals(windows.natsPerToken, loss, 1e-5);
    // One stream sees more: it is another figure, of as many tokens.
    const stream = await score();
    assertEquals(stream.scored, length - 1);
    assert(Math.abs(stream.natsPerToken - loss) > 1e-4, `${stream.natsPerToken} and ${loss}`);
  }));

Deno.test("infer() score gives the validation loss of training with the state carried", () =>
  trainAndScore({ carryState: true }, async ({ loss, length, score }) => {
    const stream = await score();
    assertEquals(stream.scored, length - 1);
    assertAlmostEquals(stream.natsPerToken, loss, 1e-5);
  }));

Deno.test("score() in windows is the mean over windows of their own, for lists and streams", async () => {
  using model = await loadModel(goldenPath("mamba1"));
  const ids = Array.from({ length: 40 }, (_, i) => (i * i * 7 + 3) % 256);
  const stream = async function* () {
    yield* ids;
  };
  for (const window of [1, 7, 13, 39, 40, 100]) {
    let sum = 0;
    for (let start = 0; start < ids.length - 1; start += window) {
      const [mean, count] = await meanOf(model.score(ids.slice(start, start + window + 1)));
      sum += mean * count;
    }
    for (const input of [ids, stream()]) {
      const [mean, count] = await meanOf(model.score(input, { window }));
      assertEquals(count, ids.length - 1);
      assertAlmostEquals(mean, sum / count, 1e-5, `window ${window}`);
    }
  }
  // Longer than the pieces that a list is fed in.
  const long = Array.from({ length: 2500 }, (_, i) => (i * i * 11 + i) % 256);
  const [first] = await meanOf(model.score(long.slice(0, 1501)));
  const [second] = await meanOf(model.score(long.slice(1500)));
  const [both] = await meanOf(model.score(long, { window: 1500 }));
  assertAlmostEquals(both, (1500 * first + 999 * second) / 2499, 1e-5);
  for (const window of [0, 2.5, NaN]) {
    await assertRejects(
      () => Array.fromAsync(model.score(ids, { window })),
      RangeError,
      `Cannot score in windows of ${window} inputs`,
    );
  }
  assertEquals(defined((await Array.fromAsync(model.score([5], { window: 3 })))[0]).id, 5);
});
