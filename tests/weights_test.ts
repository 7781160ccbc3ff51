import { assert, assertEquals, assertLess } from "@std/assert";
import { loadModel } from "../mod.ts";
import { parameterCount } from "../src/model/weights.ts";

/** From the part of the text that no step of training saw. */
const PASSAGE = `BAPTISTA:
Good morrow, neighbour Gremio.
God save you, gentlemen!

PETRUCHIO:
And you, good sir! Pray, have you not a daughter
Call'd Katharina, fair and virtuous?

BAPTISTA:
I have a daughter, sir, called Katharina.
`;

function folder(name: string): string {
  return new URL(`../weights/${name}`, import.meta.url).pathname;
}

Deno.test("weights/shakespeare reads a passage of the held-out text, and writes in its manner", async () => {
  using model = await loadModel(folder("shakespeare"));
  assertLess(parameterCount(model.config), 3_500_000);
  let nats = 0, count = 0;
  for await (const { logprob } of model.score(PASSAGE)) {
    if (Number.isNaN(logprob)) continue; // the first has none
    nats -= logprob;
    count++;
  }
  assertEquals(count, PASSAGE.length - 1);
  // 1.4464 over all of the held-out text; a model of single characters' frequencies has 3.3.
  assertLess(nats / count, 1.6);

  let text = "";
  for await (const token of model.generate("ROMEO:\n", { maxTokens: 200, seed: 1 })) {
    text += token.text;
  }
  const words = text.toLowerCase().match(/[a-z]+/g) ?? [];
  assert(words.some((word) => ["the", "and", "to", "i", "you", "my"].includes(word)), text);
});
