/** Models of the form of those in the folder weights, small and untrained, for tests of what shows them. */

import { characterTokenizer } from "../../src/io/datasets/text.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import { writeDescription, writeModel } from "../../src/train/run/checkpoint.ts";
import { initialise } from "../../src/train/initialise.ts";

const SIZES = { model_type: "mamba", hidden_size: 16, num_hidden_layers: 2, state_size: 4 };

/** The characters that the language model knows. */
export const CHARACTERS = "\n !,.:?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const CLASSIFIER = {
  ...SIZES,
  input: { kind: "linear", d_input: 1, bias: true },
  head: { kind: "classifier", n_classes: 10, pool: "mean", bias: true },
  preprocessing: {
    ...{ kind: "image", width: 28, height: 28, channels: 1, step: "pixel" },
    ...{ rescale: 1 / 255, mean: [0.1307], std: [0.3081] },
  },
  labels: [..."0123456789"],
};

/** Writes `mnist/`, with the real digits, and `shakespeare/` into the folder. */
export async function writeStandIns(folder: string): Promise<void> {
  const digits = new URL("../../weights/mnist/digits/", import.meta.url);
  await write(`${folder}/mnist`, CLASSIFIER, undefined);
  await Deno.mkdir(`${folder}/mnist/digits`);
  for (let digit = 0; digit < 10; digit++) {
    await Deno.copyFile(new URL(`${digit}.png`, digits), `${folder}/mnist/digits/${digit}.png`);
  }
  const vocab_size = CHARACTERS.length;
  await write(
    `${folder}/shakespeare`,
    { ...SIZES, vocab_size, eos_token_id: null },
    characterTokenizer([...CHARACTERS]),
  );
}

async function write(folder: string, json: unknown, tokenizer: string | undefined): Promise<void> {
  const config = parseConfig(json);
  await writeDescription(folder, config, tokenizer);
  await writeModel(folder, config, initialise(config, 1));
}
