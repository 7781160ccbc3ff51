/** `infer.ts classify <model> - --stream` of a model of sound: a line for every sound, as it ends. */

import { classifySounds, type HeardSound } from "../../engine/classify_sounds.ts";
import type { Model } from "../../engine/model.ts";
import { sampleStream } from "../../io/audio/sample_stream.ts";
import { SAMPLE_BYTES, type SampleEncoding } from "../../io/audio/samples.ts";
import { quote } from "../../io/quote.ts";
import { requireRegularFile } from "../../io/regular_file.ts";
import type { Arguments, OptionSpec } from "../terminal/arguments.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { preprocessingOf } from "./classify_input.ts";
import { noteRate } from "./resampling_note.ts";

const ENCODINGS = Object.keys(SAMPLE_BYTES);

/** The options of sound alone. */
export const SOUND_OPTIONS: readonly OptionSpec[] = [
  {
    name: "samples",
    value: "NAME",
    help: `Raw sound is of ${ENCODINGS.join(", ")}: little-endian, one channel (default s16)`,
  },
];

/** How raw samples are written; the default where nothing is said. */
export function sampleEncoding(args: Arguments): SampleEncoding {
  const name = args.word("samples", ENCODINGS) ?? "s16";
  return isEncoding(name) ? name : "s16";
}

function isEncoding(name: string): name is SampleEncoding {
  return Object.hasOwn(SAMPLE_BYTES, name);
}

/** Names sound after sound. */
export async function streamSounds(
  model: Model,
  input: string,
  args: Arguments,
  terminal: Terminal,
): Promise<void> {
  const name = input === "-" ? "stdin" : input;
  const layout = preprocessingOf("audio", model.config, quote(name));
  const { sample_rate } = layout;
  const raw = { encoding: sampleEncoding(args), channels: 1, sample_rate };
  const bytes = input === "-" ? terminal.stdin() : await fileBytes(input);
  const onRate = (found: number) => noteRate(quote(name), found, layout, terminal);
  for await (const sound of classifySounds(model, sampleStream(bytes, name, raw, onRate))) {
    terminal.write(args.has("json") ? `${toJson(sound)}\n` : `${toLine(sound)}\n`);
  }
}

async function fileBytes(path: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  await requireRegularFile(path);
  return (await Deno.open(path)).readable;
}

/** When it began, in seconds; what it is, and how probably; how long after its end that was known. */
function toLine({ label, index, probabilities, startMs, latencyMs }: HeardSound): string {
  const probability = (probabilities[index] ?? 0).toFixed(4);
  return `${(startMs / 1000).toFixed(2)}\t${label}\t${probability}\t${Math.round(latencyMs)} ms`;
}

function toJson({ label, index, probabilities, startMs, endMs, latencyMs }: HeardSound): string {
  const rounded = (value: number) => Math.round(value * 10) / 10;
  return JSON.stringify({
    ...{ startMs: rounded(startMs), endMs: rounded(endMs), latencyMs: rounded(latencyMs) },
    ...{ label, index, probabilities: [...probabilities] },
  });
}
