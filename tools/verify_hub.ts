// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Downloads published models from the hub, and checks that they say what their makers printed.
 *
 *     deno task verify:hub [--max-gb N] [--outputs FILE.json]
 *
 * --max-gb      leaves out models that are a larger download (default 1); what is in the cache counts, too
 * --outputs     other outputs in the form of published_outputs.json, which is the default
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

answerHelp(import.meta.url);
const args = parseArgs(Deno.args, {
  string: ["max-gb", "outputs"],
  default: { "max-gb": "1" },
  unknown: (name: string) => {
    console.error(`Cannot verify: unknown argument "${name}", expected --max-gb or --outputs`);
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
const { failed, unchecked } = await verify(outputs, maxBytes, processTerminal());
if (unchecked > 0) console.log(`${unchecked} models could not be had, and were not checked`);
if (failed > 0) {
  console.log(`${failed} outputs are not as published`);
  Deno.exit(1);
}
if (unchecked > 0) Deno.exit(3);
