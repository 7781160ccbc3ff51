import { assertEquals, assertRejects } from "@std/assert";
import { readConfig, readConfigAndHead } from "../../src/engine/read_config.ts";
import { type Checkpoint, openCheckpoint } from "../../src/io/checkpoint.ts";
import { goldenPath } from "../golden_files.ts";

/** A golden checkpoint whose config does not say whether the head is tied, and how often its tensors were read. */
async function silent(name: string): Promise<Checkpoint & { reads(): number }> {
  const checkpoint = await openCheckpoint(goldenPath(name));
  const { tie_word_embeddings: _, tie_embeddings: __, ...config } = Object(checkpoint.config);
  let reads = 0;
  const { tensors } = checkpoint;
  return {
    ...checkpoint,
    config,
    tensors: {
      ...tensors,
      name: tensors.name,
      tensors: tensors.tensors,
      metadata: tensors.metadata,
      read: (...args) => {
        reads++;
        return tensors.read(...args);
      },
    },
    reads: () => reads,
  };
}

// What is taken for granted where the weights have a head is the dialect's; the numbers say what is so.
for (
  const [name, granted, found] of [
    ["mamba2", true, true],
    ["mamba2-groups", false, false],
    ["mamba2-raw", true, true],
    ["mamba2-options", true, false],
    ["falcon-mamba", true, false],
    ["codestral", false, false],
  ] as const
) {
  Deno.test(`readConfig() looks at headers alone where ${name} does not say whether its head is tied`, async () => {
    using checkpoint = await silent(name);
    const { head } = readConfig(checkpoint);
    assertEquals(head.kind === "lm" && head.tied, granted);
    assertEquals(checkpoint.reads(), 0);
    const compared = await readConfigAndHead(checkpoint);
    assertEquals(compared.head.kind === "lm" && compared.head.tied, found);
  });
}

Deno.test("readConfigAndHead() takes stop tokens from generation_config.json where it names any", async () => {
  using checkpoint = await openCheckpoint(goldenPath("mamba1"));
  const ids = async (text: string | undefined) => {
    const readText = (file: string) =>
      Promise.resolve(file === "generation_config.json" ? text : undefined);
    return (await readConfigAndHead({ ...checkpoint, readText })).eos_token_ids;
  };
  const own = readConfig(checkpoint).eos_token_ids;
  assertEquals(await ids(undefined), own);
  assertEquals(await ids('{"do_sample": true}'), own);
  assertEquals(await ids('{"eos_token_id": 26}'), [26]);
  assertEquals(await ids('{"eos_token_id": [3, 26]}'), [3, 26]);
  assertEquals(await ids('{"eos_token_id": null}'), []);
  await assertRejects(() => ids('{"eos_token_id": "</s>"}'), SyntaxError, "generation_config.json");
  await assertRejects(() => ids("{"), SyntaxError, "generation_config.json");
  using classifier = await openCheckpoint(goldenPath("classifier"));
  const readText = () => Promise.resolve('{"eos_token_id": 1}');
  assertEquals((await readConfigAndHead({ ...classifier, readText })).eos_token_ids, []);
});
