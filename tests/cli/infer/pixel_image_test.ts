import { assert, assertEquals, assertThrows } from "@std/assert";
import { infer } from "../../../src/cli/infer/infer.ts";
import { imageStart, PixelImage } from "../../../src/cli/infer/pixel_image.ts";
import { decodePng } from "../../../src/io/images/png.ts";
import { parseConfig } from "../../../src/model/config/config.ts";
import { writeDescription, writeModel } from "../../../src/train/run/checkpoint.ts";
import { initialise } from "../../../src/train/initialise.ts";
import { goldenPath } from "../../golden_files.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import "../../settle_readbacks.ts";

const FRESH = { position: 0, colors: false };
const WIDTH = 6, HEIGHT = 4, SIZE = WIDTH * HEIGHT;

/** A model of tiny images, as it is before training. */
function pixelConfig(labels?: string[]) {
  return parseConfig({
    ...{ hidden_size: 16, num_hidden_layers: 1, model_type: "mamba", eos_token_id: null },
    ...{ vocab_size: 256 + (labels?.length ?? 1), real_vocab_size: 256 },
    preprocessing: { kind: "pixels", width: WIDTH, height: HEIGHT },
    ...(labels === undefined ? {} : { labels }),
  });
}

async function withModel(
  labels: string[] | undefined,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const config = pixelConfig(labels);
    await writeDescription(folder, config, undefined);
    await writeModel(folder, config, initialise(config, 1));
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(...args: string[]): Promise<string> {
  const terminal = new FakeTerminal();
  assertEquals(await infer(["generate", ...args], terminal), 0, terminal.stderr);
  return terminal.stdout;
}

/** What pixels are drawn as. */
function drawing(ids: readonly number[]): string {
  const image = new PixelImage({ kind: "pixels", width: WIDTH, height: HEIGHT }, FRESH);
  return image.feed([256, ...ids]);
}

Deno.test("PixelImage draws two rows when they are complete, and keeps the pixels", () => {
  const image = new PixelImage({ kind: "pixels", width: 3, height: 3 }, FRESH);
  assertEquals(image.missing, 10);
  assertEquals(image.feed([256, 0, 200, 255, 0, 0]), "");
  assertEquals(image.feed([128, 255]), " ▀█\n");
  assertEquals([image.missing, [...image.pixels]], [2, [0, 200, 255, 0, 0, 128, 255, 0, 0]]);
  assertEquals(image.feed([127, 255, 9, 9]), "▀ ▀\n");
  assertEquals(image.missing, 0);
  // After the state of another process, the pixels before are not known.
  const later = new PixelImage({ kind: "pixels", width: 1, height: 4 }, { ...FRESH, position: 3 });
  assertEquals([later.missing, later.feed([255, 255])], [2, "█\n"]);
  // An id that is no pixel begins another image.
  assertEquals(later.feed([7, 256, 255, 0]), "▀\n");
  assertEquals([later.missing, [...later.pixels]], [2, [255, 0, 0, 0]]);
});

Deno.test("imageStart() finds the id that begins an image of a class", () => {
  const classes = pixelConfig(["cat", "dog"]), one = pixelConfig();
  assertEquals([imageStart("cat", classes), imageStart("dog", classes)], [256, 257]);
  assertEquals(imageStart("", one), 256);
  for (
    const [name, config, message] of [
      ["", classes, 'an image of "": this model\'s images are of cat, dog. Give one as prompt'],
      ["cow", classes, 'an image of "cow": this model\'s images are of cat, dog'],
      ["dog", one, 'an image of "dog": this model\'s images have no classes'],
    ] as const
  ) {
    assertThrows(() => imageStart(name, config), RangeError, message);
  }
});

Deno.test("infer() generates an image of a class, draws it and writes it as PNG", () =>
  withModel(["cat", "dog"], async (folder) => {
    const png = `${folder}/dog.png`;
    const drawn = await run(folder, "--prompt", "dog", "--seed", "4", "--png", png);
    const ids: number[] = JSON.parse(
      await run(folder, "--prompt", "dog", "--seed", "4", "--print-ids"),
    );
    assertEquals(ids.length, SIZE);
    assertEquals(drawn, drawing(ids));
    const expected = { width: WIDTH, height: HEIGHT, channels: 1 };
    assertEquals([...(await decodePng(await Deno.readFile(png), png, expected)).pixels], ids);

    // Pixels of the prompt are drawn too, and the rest follows.
    await Deno.writeTextFile(`${folder}/half.json`, JSON.stringify([257, ...ids.slice(0, 12)]));
    const half = await run(folder, "--ids", `${folder}/half.json`, "--temperature", "0");
    assertEquals(half.split("\n")[0], drawn.split("\n")[0]);
    assertEquals(half.split("\n").length, HEIGHT / 2 + 1);

    // A saved state knows how far its image is.
    const state = `${folder}/state`;
    const options = ["--max-tokens", "15", "--save-state", state];
    const begun = await run(folder, "--prompt", "dog", "--seed", "4", ...options);
    assertEquals(begun, drawing(ids.slice(0, 15)));
    const rest = await run(folder, "--load-state", state, "--print-ids");
    assertEquals(JSON.parse(rest), ids.slice(15));
  }));

Deno.test("infer() generates images of a model without classes from nothing", () =>
  withModel(undefined, async (folder) => {
    assertEquals((await run(folder, "--seed", "1", "--json")).split("\n").length, SIZE + 2);
    const terminal = new FakeTerminal();
    assertEquals(await infer(["generate", folder, "--prompt", "cat"], terminal), 1);
    assert(terminal.stderr.includes("this model's images have no classes"), terminal.stderr);
    const text = new FakeTerminal();
    const png = `${folder}/none.png`;
    const args = ["generate", goldenPath("mamba1"), "--prompt", "a", "--png", png];
    assertEquals(await infer(args, text), 1);
    assert(text.stderr.includes("Cannot write a PNG: this model makes no images"), text.stderr);
  }));
