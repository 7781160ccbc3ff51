import { assert, assertEquals, assertLess } from "@std/assert";
import { loadModel, type Model } from "../mod.ts";
import { imageToInput } from "../src/io/images/image.ts";
import { decodePng } from "../src/io/images/png.ts";
import { parameterCount } from "../src/model/weights/weight_specs.ts";
import { defined } from "./defined.ts";
import "./settle_readbacks.ts";

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

Deno.test("weights/shakespeare-mamba3 reads a passage of the held-out text", async () => {
  using model = await loadModel(folder("shakespeare-mamba3"));
  assertLess(parameterCount(model.config), 3_500_000);
  let nats = 0, count = 0;
  for await (const { logprob } of model.score(PASSAGE)) {
    if (Number.isNaN(logprob)) continue; // the first has none
    nats -= logprob;
    count++;
  }
  // 1.4211 over all of the held-out text.
  assertLess(nats / count, 1.6);
});

/** The digits of the demonstration, (784) bytes each. */
async function digits(): Promise<Uint8Array[]> {
  return await Promise.all(
    Array.from({ length: 10 }, async (_, digit) => {
      const path = `${folder("mnist")}/digits/${digit}.png`;
      const size = { width: 28, height: 28, channels: 1 };
      return (await decodePng(await Deno.readFile(path), path, size)).pixels;
    }),
  );
}

/** The labels that a classifier of images gives pictures, (height, width, channels) bytes each. */
async function labelsOf(model: Model, pictures: readonly Uint8Array[]): Promise<string[]> {
  const layout = model.config.preprocessing;
  if (layout?.kind !== "image") throw new TypeError("the model takes no images");
  const { width, height, channels } = layout;
  const pixels = Uint8Array.from(pictures.flatMap((picture) => [...picture]));
  const inputs = imageToInput(pixels, width, height, channels, layout);
  const results = await model.classifyBatch(inputs, pictures.length);
  return results.map(({ label }) => label);
}

for (
  const { name, mode } of [
    { name: "mnist" },
    { name: "mnist-s4", mode: "conv" },
    { name: "mnist-s4", mode: "recurrent" },
  ] as const
) {
  Deno.test(`weights/${name}${mode ? `, ${mode},` : ""} names the digits of the demonstration`, async () => {
    using model = await loadModel(folder(name), mode && { mode });
    assertEquals(
      model.config.preprocessing?.kind === "image" && model.config.preprocessing.step,
      "pixel",
    );
    assertEquals(await labelsOf(model, await digits()), [..."0123456789"]);
  });
}

type Colour = readonly [number, number, number];

const WHITE: Colour = [235, 235, 235];
const RED: Colour = [190, 30, 30];
const GREY: Colour = [90, 90, 95];
const BLACK: Colour = [15, 15, 15];
const SKY: Colour = [120, 170, 225];
const SEA: Colour = [30, 70, 120];

/** A circle at x and y. */
function isIn(radius: number, x: number, y: number): boolean {
  return Math.hypot(x, y) < radius;
}

/** Drawn with a few straight lines: no photographs are in the project. */
const DRAWINGS: Readonly<Record<string, (x: number, y: number) => Colour>> = {
  airplane: (x, y) => {
    const isBody = Math.abs(y - 16) < 2.5 && x > 4 && x < 28;
    const isWing = Math.abs(x - 16 - (y - 16) * 0.5) < 2.5 && y > 6 && y < 26;
    return isBody || isWing || (x < 8 && y > 10 && y < 17) ? WHITE : SKY;
  },
  automobile: (x, y) => {
    if (isIn(3.6, x - 9, y - 23) || isIn(3.6, x - 23, y - 23)) return BLACK;
    if (y > 15 && y < 23 && x > 2 && x < 30) return RED;
    const slope = (15 - y) / 2;
    if (y > 9 && y <= 15 && x > 8 + slope && x < 25 - slope) {
      return y > 10 && x > 11 && x < 22 ? [150, 190, 210] : RED;
    }
    return y > 22 ? GREY : [200, 200, 200];
  },
  ship: (x, y) => {
    const slope = (y - 20) / 2;
    if (y > 20 && y < 26 && x > 3 + slope && x < 29 - slope) return RED;
    if (y > 14 && y <= 20 && x > 10 && x < 22) return WHITE;
    if (y > 8 && y <= 14 && x > 14 && x < 18) return GREY;
    return y > 23 ? SEA : SKY;
  },
  truck: (x, y) => {
    if (isIn(3, x - 7, y - 26) || isIn(3, x - 24, y - 26)) return BLACK;
    if (y > 6 && y < 25 && x > 2 && x < 21) return WHITE;
    if (y > 13 && y < 25 && x >= 21 && x < 30) return RED;
    return y > 24 ? GREY : SKY;
  },
};

Deno.test("weights/cifar10 names what a child would draw", async () => {
  using model = await loadModel(folder("cifar10"));
  const places = Array.from({ length: 32 * 32 }, (_, i) => [i % 32, Math.floor(i / 32)] as const);
  const pictures = Object.values(DRAWINGS).map((draw) =>
    Uint8Array.from(places.flatMap(([x, y]) => draw(x, y)))
  );
  assertEquals(await labelsOf(model, pictures), Object.keys(DRAWINGS));
});

Deno.test("weights/mnist-pixels foresees a digit, and better where it is told which", async () => {
  using model = await loadModel(folder("mnist-pixels"));
  const all = await digits();
  const natsAPixel = async (digit: number, told: number): Promise<number> => {
    let nats = 0;
    for await (const { logprob } of model.score([256 + told, ...defined(all[digit], "digit")])) {
      if (!Number.isNaN(logprob)) nats -= logprob;
    }
    return nats / 784;
  };
  for (const [digit, other] of [[7, 0], [3, 6]] as const) {
    const own = await natsAPixel(digit, digit);
    // What knowing how often each value comes in this very image would give.
    const counts = new Map<number, number>();
    for (const value of defined(all[digit], "digit")) {
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    const entropy = [...counts.values()].reduce((sum, n) => sum - n / 784 * Math.log(n / 784), 0);
    assertLess(own, 0.6 * entropy);
    assertLess(own, await natsAPixel(digit, other));
  }
});
