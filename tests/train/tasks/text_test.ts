import { assertEquals, assertRejects } from "@std/assert";
import { loadTokenizer } from "../../../src/io/tokenizer/tokenizer.ts";
import { IGNORED } from "../../../src/model/training_executor.ts";
import { START } from "../../../src/train/batches.ts";
import { shakespeareTask } from "../../../src/train/tasks/shakespeare.ts";
import { textTask } from "../../../src/train/tasks/text.ts";
import { defined } from "../../defined.ts";

const SHAKESPEARE = new URL("../../../../shared/data/text/tinyshakespeare.txt", import.meta.url);
const HAS_SHAKESPEARE = await Deno.stat(SHAKESPEARE).then(() => true, () => false);

const TEXT = "Abc, déf!\n".repeat(40);

async function withFile(
  content: string | Uint8Array,
  run: (path: string) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".txt" });
  try {
    await Deno.writeFile(
      path,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
    await run(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("textTask() trains on the first 90% of the characters and validates with the rest", async () => {
  await withFile(TEXT, async (data) => {
    const hyperparameters = { batchSize: 4, seqlen: 16 };
    const { config, tokenizer, train, validation } = await textTask({ data, hyperparameters });
    assertEquals(config.input, { kind: "embedding", vocab_size: 10 });
    const { decode } = loadTokenizer(defined(tokenizer), "tokenizer.json");
    const { inputs, targets, targetCount } = train.batch(START);
    assertEquals([inputs.length, targetCount], [64, 64]);
    for (let lane = 0; lane < 64; lane += 16) {
      const [text, next] = [inputs, targets].map((ids) =>
        decode([...ids.subarray(lane, lane + 16)])
      );
      assertEquals(TEXT.includes(defined(text)), true);
      assertEquals(text?.slice(1), next?.slice(0, -1));
    }
    const first = validation.batch(START);
    // 40 characters validate: 39 targets, in windows of 16, 16 and 7.
    assertEquals([first.targetCount, validation.batchesPerEpoch], [39, 1]);
    assertEquals(decode([...first.inputs.subarray(0, 10)]), "Abc, déf!\n");
    assertEquals(first.targets[39], IGNORED);
  });
});

Deno.test("textTask() carries the state from window to window where asked", async () => {
  await withFile(TEXT, async (data) => {
    const hyperparameters = { batchSize: 4, seqlen: 16, carryState: true };
    const { train, validation } = await textTask({ data, hyperparameters });
    const first = train.batch(START), second = train.batch(first.next);
    assertEquals([first.continues, second.continues], [false, true]);
    assertEquals(second.inputs[0], first.targets[15]);
    // Validation is one stream.
    const stream = validation.batch(START);
    assertEquals([stream.batch, stream.targetCount, stream.next.epoch], [1, 39, 1]);
  });
});

Deno.test("textTask() takes a tokenizer", async () => {
  const tokenizer = new URL("../../golden/mamba1/tokenizer.json", import.meta.url);
  await withFile(TEXT, async (data) => {
    const hyperparameters = { batchSize: 2, seqlen: 8 };
    const task = await textTask({ data, tokenizer: tokenizer.pathname, hyperparameters });
    const json = await Deno.readTextFile(tokenizer);
    assertEquals(task.tokenizer, json);
    assertEquals(task.config.real_vocab_size, loadTokenizer(json, "x").vocabSize);
  });
});

Deno.test("textTask() refuses bad data in one clear error", async () => {
  const cases: [string | Uint8Array, new () => Error, string][] = [
    ["", SyntaxError, "it is empty, expected text"],
    [Uint8Array.of(0x61, 0xff, 0x62), SyntaxError, "byte 1 is 0xff, which is not UTF-8 there"],
    ["aaaaaaaaaaaaaaaaaa", SyntaxError, 'its only character is "a"'],
    ["abcabcabc", RangeError, "it has 8 ids, and at least 257 are needed"],
  ];
  for (const [content, kind, message] of cases) {
    await withFile(content, async (data) => {
      await assertRejects(() => textTask({ data }), kind, message);
    });
  }
  await assertRejects(() => textTask(), TypeError, "it has no data");
});

Deno.test("shakespeareTask() refuses other texts, and says what else could be done", async () => {
  await withFile("To be", async (data) => {
    await assertRejects(
      () => shakespeareTask({ data }),
      SyntaxError,
      'The task "text" takes any text',
    );
  });
  const answer = (response: Response): typeof fetch => () => Promise.resolve(response);
  await assertRejects(
    () => shakespeareTask({ fetch: answer(new Response("gone", { status: 404 })) }),
    Error,
    "the server answered 404. Check the network, or give the file as data",
  );
  await assertRejects(
    () => shakespeareTask({ fetch: answer(new Response("To be")) }),
    SyntaxError,
    "5 bytes with MD5",
  );
});

Deno.test({
  name: "shakespeareTask() splits as nanoGPT does, whether downloaded or not",
  ignore: !HAS_SHAKESPEARE,
  async fn() {
    const bytes = await Deno.readFile(SHAKESPEARE);
    const given = await shakespeareTask({ data: SHAKESPEARE.pathname });
    const fetched = await shakespeareTask({ fetch: () => Promise.resolve(new Response(bytes)) });
    assertEquals(given.train.batch(START), fetched.train.batch(START));
    assertEquals(
      given.summary,
      "1,003,854 tokens to train on, 111,540 to validate with, 65 different ones",
    );
    let targets = 0;
    for (let position = START; position.epoch === 0;) {
      const { targetCount, next } = given.validation.batch(position);
      targets += targetCount;
      position = next;
    }
    assertEquals(targets, 111_539);
  },
});
