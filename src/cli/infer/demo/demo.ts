/** The demonstration, which `infer.ts` is without a command: a digit is read, and Shakespeare written. */

import type { LoadOptions } from "../../../engine/load_model.ts";
import { describeFailure } from "../../../io/http/failure.ts";
import type { PixelArray } from "../../../io/images/image.ts";
import { decodePng, type ExpectedImage } from "../../../io/images/png.ts";
import type { Arguments, CommandSpec } from "../../terminal/arguments.ts";
import { imagePreprocessing } from "../classify_input.ts";
import { streamDigit } from "./demo_digit.ts";
import { streamText } from "./demo_text.ts";
import { formatBytes } from "../../terminal/format.ts";
import { catchInterrupt, INTERRUPTED } from "../../terminal/interrupt.ts";
import { describeDevice, LOAD_OPTIONS, loadSettings, loadWithLine } from "../load_model.ts";
import { requestAccess } from "../../terminal/request_access.ts";
import type { Terminal } from "../../terminal/terminal.ts";

/** What the parser and the help know of this command. */
export const DEMO: CommandSpec = {
  name: "demo",
  summary: "Reads a handwritten digit step by step, then writes Shakespeare; also without a name.",
  positionals: [],
  required: 0,
  example: "--seed 7",
  details: [
    "The models are those in the folder weights, and the digit is one of MNIST's test set.",
    "Where stdout is no terminal, a short account of the same is printed.",
  ],
  options: [
    {
      name: "seed",
      value: "S",
      help: "Same seed, same text; its last figure is the digit (default: random, and printed)",
    },
    ...LOAD_OPTIONS,
  ],
};

/** Where the models are: beside the program, on a disk or on the web. */
const WEIGHTS = new URL("../../../../weights/", import.meta.url);

/** Seeds nobody chose are below this: short to type again. */
const RANDOM_SEEDS = 1000;

/**
 * Runs the command.
 *
 * @param weights Folder with the models `mnist`, which has its digits with it, and `shakespeare`.
 * @returns The exit code.
 */
export async function demo(
  args: Arguments,
  terminal: Terminal,
  weights = WEIGHTS,
): Promise<number> {
  const settings = loadSettings(args);
  const seed = args.integer("seed", { min: 0, max: Number.MAX_SAFE_INTEGER }) ??
    Math.floor(Math.random() * RANDOM_SEEDS);
  await requestAccess(weights, "the models", terminal);
  terminal.writeError(`Seed: ${seed}\n`);
  using interruption = catchInterrupt();
  const { signal } = interruption;
  try {
    const show = { weights, settings: { ...settings, signal }, terminal, signal, seed };
    await showDigit(show);
    await showText(show);
  } catch (error) {
    if (!signal.aborted) throw error;
    terminal.write("\n");
    return INTERRUPTED;
  }
  return 0;
}

/** What both halves need. */
interface Show {
  readonly weights: URL;
  readonly settings: LoadOptions;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly seed: number;
}

async function showDigit({ weights, settings, terminal, signal, seed }: Show): Promise<void> {
  using model = await loadWithLine(new URL("mnist/", weights), settings, terminal);
  const layout = imagePreprocessing(model.config, "a digit");
  const label = String(seed % 10);
  const image = await loadImage(new URL(`mnist/digits/${label}.png`, weights), layout);
  terminal.writeError(`${describeDevice(model)}\n`);
  terminal.write(
    "A digit of MNIST's test set goes into weights/mnist " +
      `(${formatBytes(model.weightBytes)}), one ${layout.step} a step:\n\n`,
  );
  await streamDigit(model, { image, label }, terminal, signal);
}

async function loadImage(url: URL, layout: ExpectedImage): Promise<PixelArray> {
  const response = await fetch(url).catch((cause) => {
    throw new Error(`Cannot download "${url}": ${describeFailure(cause)}`, { cause });
  });
  if (!response.ok) {
    throw new Error(`Cannot download "${url}": the server answered ${response.status}`);
  }
  return await decodePng(await response.bytes(), url.href, layout);
}

async function showText({ weights, settings, terminal, signal, seed }: Show): Promise<void> {
  using model = await loadWithLine(new URL("shakespeare/", weights), settings, terminal);
  terminal.write(
    "\nAnd weights/shakespeare " +
      `(${formatBytes(model.weightBytes)}) writes, one character a step:\n\n`,
  );
  await streamText(model, seed, terminal, signal);
}
