// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Downloads published models from the hub, and checks that they say what their makers printed.
 *
 *     deno task verify:hub [--max-gb N] [--outputs FILE.json] [--tokenizer FILE] [--text FILE]
 *
 * --max-gb      leaves out models that are a larger download (default 1); what is in the cache counts, too
 * --outputs     other outputs in the form of published_outputs.json, which is the default
 *
 * --tokenizer   Llama 3.1's tokenizer.json, for Mamba-3: its repository is gated
 * --text        what Mamba-3 reads with both activations of A (default: the first part of this project's README.md)
 *
 * Of state-spaces/mamba3-siso-187m it says with which activation of A the text is likelier, since its config does not;
 * not with --outputs.
 *
 * Prints one line for each text and each row of logits, and exits 1 if one is not as published, 3 if a model could not be
 * had, so that its outputs were not checked.
 */

import { parseArgs } from "@std/cli/parse-args";
import { formatBytes, formatDuration } from "../src/cli/terminal/format.ts";
import { LoadLine } from "../src/cli/infer/load_line.ts";
import { processTerminal, type Terminal } from "../src/cli/terminal/terminal.ts";
import { loadModel, type LoadOptions } from "../src/engine/load_model.ts";
import type { Model } from "../src/engine/model.ts";
import { HttpError } from "../src/io/http/source.ts";
import published from "./published_outputs.json" with { type: "json" };
import { answerHelp } from "./help.ts";

/** What somebody else's program gave for a prompt, always taking the likeliest token. */
interface PublishedOutput {
  /** Its name on the hub, or anything else that loadModel() takes. */
  readonly model: string;
  /** How weights are kept. */
  readonly dtype: string;
  /** About how much is downloaded. */
  readonly downloadBytes: number;
  /** Where the output was published. */
  readonly source: string;
  readonly prompt: string;
  readonly maxTokens: number;
  /** What follows the prompt. */
  readonly text: string;
  /** The first logits after the first token of the prompt. */
  readonly firstLogits?: readonly number[];
}

/** As in the test that published them: rtol and atol. */
const LOGITS_TOLERANCE = 1e-3;

/** What came of the checks. */
interface Outcome {
  /** Outputs that are not as published. */
  readonly failed: number;
  /** Models that could not be had. */
  readonly unchecked: number;
}

/** Whether a hub gave no answer at all, or may not be asked. */
function isOutOfReach(error: unknown): boolean {
  return error instanceof HttpError && error.status === undefined ||
    error instanceof Deno.errors.NotFound && /HF_HUB_OFFLINE/.test(error.message);
}

/** Checks all outputs of models that are not too large. */
async function verify(
  outputs: readonly PublishedOutput[],
  maxBytes: number,
  terminal: Terminal,
): Promise<Outcome> {
  let failed = 0, unchecked = 0;
  const report = (passed: boolean, output: PublishedOutput, what: string) => {
    if (!passed) failed++;
    const name = `${output.model} (${output.dtype})`;
    console.log(`${passed ? "pass" : "FAIL"}  ${name}: ${what}`);
  };
  for (const output of outputs) {
    if (output.downloadBytes > maxBytes) {
      const size = formatBytes(output.downloadBytes);
      console.log(`left  ${output.model}: ${size} to download, beyond --max-gb`);
      continue;
    }
    try {
      const start = performance.now();
      using model = await load(output, terminal);
      console.error(`${output.model} on ${model.device}, ${output.source}`);
      const text = await continuation(model, output);
      const elapsed = formatDuration(performance.now() - start);
      report(text === output.text, output, describeText(output, text, elapsed));
      if (output.firstLogits === undefined) continue;
      const share = await logitsError(model, output.prompt, output.firstLogits);
      report(
        share <= 1,
        output,
        `${output.firstLogits.length} logits, worst difference ${
          share.toPrecision(2)
        } of the tolerance`,
      );
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // Nothing was found wrong where nothing could be fetched.
      if (!isOutOfReach(error)) report(false, output, message);
      else {
        unchecked++;
        console.log(`not checked  ${output.model} (${output.dtype}): ${message}`);
      }
    }
  }
  return { failed, unchecked };
}

async function load({ model, dtype }: PublishedOutput, terminal: Terminal): Promise<Model> {
  using line = new LoadLine(terminal);
  return await loadModel(model, {
    // An unknown one is refused by name.
    dtype: dtype as LoadOptions["dtype"],
    onProgress: (step) => line.update(step),
  });
}

async function continuation(model: Model, { prompt, maxTokens }: PublishedOutput): Promise<string> {
  const tokens = await Array.fromAsync(model.generate(prompt, { maxTokens, temperature: 0 }));
  return tokens.map(({ text }) => text).join("");
}

function describeText({ prompt, text }: PublishedOutput, found: string, elapsed: string): string {
  const quoted = JSON.stringify(found);
  return found === text
    ? `${JSON.stringify(prompt)} goes on ${quoted}, ${elapsed}`
    : `${JSON.stringify(prompt)} goes on ${quoted}, and ${JSON.stringify(text)} was published`;
}

/** The worst difference, as a share of what is allowed. */
async function logitsError(
  model: Model,
  prompt: string,
  expected: readonly number[],
): Promise<number> {
  using session = model.createSession();
  const [first = 0] = model.tokenizer?.encode(prompt) ?? [];
  const logits = await session.step(first);
  const shares = expected.map((value, i) =>
    Math.abs((logits[i] ?? NaN) - value) / (LOGITS_TOLERANCE * (1 + Math.abs(value)))
  );
  // NaN is worse than any number, and Math.max() gives it.
  return Math.max(...shares);
}

/** The smallest model of Mamba-3, and its download. */
const MAMBA3 = { model: "state-spaces/mamba3-siso-187m", downloadBytes: 373_744_619 };

/** Characters of the text that it reads. */
const TEXT_LENGTH = 8000;

/** Nats a token of a text, read with an activation of A. */
async function lossWith(
  A_activation: NonNullable<LoadOptions["A_activation"]>,
  { tokenizer, text }: { readonly tokenizer: string | undefined; readonly text: string },
  terminal: Terminal,
): Promise<number> {
  using line = new LoadLine(terminal);
  using model = await loadModel(MAMBA3.model, {
    ...{ A_activation, tokenizer },
    onProgress: (step) => line.update(step),
  });
  let [nats, count] = [0, 0];
  for await (const { logprob } of model.score(text)) {
    if (Number.isNaN(logprob)) continue; // the first has none
    nats -= logprob;
    count++;
  }
  return nats / count;
}

/** Reads a text with both activations of A, and says with which it is likelier. Returns how many models could not be had. */
async function compareActivations(
  given: { readonly tokenizer: string | undefined; readonly text: string },
  maxBytes: number,
  terminal: Terminal,
): Promise<number> {
  const { model, downloadBytes } = MAMBA3;
  if (downloadBytes > maxBytes) {
    console.log(`left  ${model}: ${formatBytes(downloadBytes)} to download, beyond --max-gb`);
    return 0;
  }
  try {
    const heavy = await lossWith("heavy_tail", given, terminal);
    const softplus = await lossWith("softplus", given, terminal);
    const lower = heavy < softplus ? "heavy_tail" : "softplus";
    const values = `heavy_tail ${heavy.toFixed(4)}, softplus ${softplus.toFixed(4)} nats a token`;
    console.log(`measured  ${model}: ${values}: ${lower} is lower`);
    return 0;
  } catch (error) {
    // Without the tokenizer no text can be read: that is nothing wrong with the model.
    if (!isOutOfReach(error) && !(error instanceof TypeError)) throw error;
    console.log(`not checked  ${model}: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

/** The text of a file, if one is named. */
async function readText(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : await Deno.readTextFile(path);
}

answerHelp(import.meta.url);
const args = parseArgs(Deno.args, {
  string: ["max-gb", "outputs", "tokenizer", "text"],
  default: { "max-gb": "1" },
  unknown: (name: string) => {
    console.error(
      `Cannot verify: unknown argument "${name}", expected --max-gb, --outputs, --tokenizer or ` +
        "--text",
    );
    Deno.exit(2);
  },
});
const maxBytes = Number(args["max-gb"]) * 1e9;
if (!(maxBytes >= 0)) {
  console.error(`Cannot verify: --max-gb is "${args["max-gb"]}", expected a number`);
  Deno.exit(2);
}
const outputs: readonly PublishedOutput[] = args.outputs === undefined
  ? published
  : JSON.parse(await Deno.readTextFile(args.outputs));
const { failed, ...rest } = await verify(outputs, maxBytes, processTerminal());
let unchecked = rest.unchecked;
if (args.outputs === undefined) {
  const readme = new URL("../README.md", import.meta.url);
  const text = (await readText(args.text) ?? await Deno.readTextFile(readme)).slice(0, TEXT_LENGTH);
  const tokenizer = await readText(args.tokenizer);
  unchecked += await compareActivations({ tokenizer, text }, maxBytes, processTerminal());
}
if (unchecked > 0) console.log(`${unchecked} models could not be had, and were not checked`);
if (failed > 0) {
  console.log(`${failed} outputs are not as published`);
  Deno.exit(1);
}
if (unchecked > 0) Deno.exit(3);
