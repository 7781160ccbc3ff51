import { assertEquals } from "@std/assert";
import { parseConfig } from "../../src/model/config/config.ts";
import { writeDescription } from "../../src/train/run/checkpoint.ts";

Deno.test("writeDescription() says beside a tokenizer which class of transformers reads it as it is", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const config = parseConfig({ d_model: 16, n_layer: 1, vocab_size: 8 });
    const names = async () =>
      (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
    await writeDescription(folder, config, undefined);
    assertEquals(await names(), ["config.json"]);
    await writeDescription(folder, config, "{}");
    assertEquals(await names(), [
      "config.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const { tokenizer_class, model_input_names } = JSON.parse(
      await Deno.readTextFile(`${folder}/tokenizer_config.json`),
    );
    assertEquals(tokenizer_class, "PreTrainedTokenizerFast");
    assertEquals(model_input_names, ["input_ids", "attention_mask"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
