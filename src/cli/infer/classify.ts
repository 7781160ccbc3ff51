/** `infer.ts classify`: the class of an image, a series or a sound, or the accuracy over a dataset. */

import type { Classification } from "../../engine/classify.ts";
import type { Model } from "../../engine/model.ts";
import { compilingLine } from "./compiling_line.ts";
import { type Arguments, type CommandSpec, UsageError } from "../terminal/arguments.ts";
import { classifyStream, STREAM_OPTIONS } from "./classify_stream.ts";
import { SOUND_OPTIONS } from "./classify_stream_of_sound.ts";
import { readRawInput, stepSize, toModelInput } from "./classify_input.ts";
import { LABELLED_OPTIONS, labelledSetLoader, type ReadSet } from "./labelled_set.ts";
import { formatCount, formatDuration, formatRate } from "../terminal/format.ts";
import { LOAD_OPTIONS, loadForCommand, loadSettings } from "./load_model.ts";
import { Progress } from "../terminal/progress.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** What the parser and the help know of this command. */
export const CLASSIFY: CommandSpec = {
  name: "classify",
  summary: "Names the class of an image, a series or a sound, or measures a dataset.",
  positionals: ["<model>", "[image.png | sound.wav | FILE:INDEX | -]"],
  required: 1,
  example: "classify ./mnist-mamba --dataset mnist --split test --limit 1000",
  details: [
    "The input is a PNG file, image INDEX of an IDX file, a WAV file, a text file of numbers, or - for stdin\n" +
    "(PNG, WAV or numbers). Its size must be the model's: nothing is resized.",
    "--stream reads a file, or stdin, as it comes and in constant memory: numbers, CSV, WAV, PNG or IDX files, or\n" +
    "raw bytes. Each image is a sequence of its own; the steps of a sequence count from 1.",
    "A model of sound names each sound of a stream as it ends (WAV, or raw samples): when it began, in seconds, what it\n" +
    "is, how probably, and how long after its end that was known; silence is no sound:\n" +
    "  arecord -q -t raw -f S16_LE -r 8000 | deno run --allow-read infer.ts classify weights/spoken-digits - --stream",
    "Without --json, the most probable class comes first, one class a line.",
  ],
  options: [
    ...LABELLED_OPTIONS,
    {
      name: "stream",
      help: "Print the class probabilities after every step, as it comes, or of every sound",
    },
    ...STREAM_OPTIONS,
    ...SOUND_OPTIONS,
    { name: "json", help: "Print JSON: one object, or one a step with --stream" },
    ...LOAD_OPTIONS,
  ],
};

/** Sequences that go through the model at once: enough to fill a device, and small beside the weights. */
const BATCH = 100;

/** Runs the command. */
export async function classify(args: Arguments, terminal: Terminal): Promise<number | void> {
  const [source = "", input] = args.positionals;
  const settings = loadSettings(args);
  const loadSet = labelledSetLoader(args);
  if (loadSet !== undefined) {
    if (input !== undefined) throw new UsageError("Cannot classify an input and --dataset at once");
    if (args.has("stream")) {
      throw new UsageError("Cannot use --stream with --dataset: it follows one input");
    }
    const data = await loadSet();
    using model = await loadForCommand(source, settings, terminal);
    return await classifyDataset(model, data, args, terminal);
  }
  if (args.has("stream")) return await classifyStream(args, terminal);
  const other = STREAM_OPTIONS.find(({ name }) => args.text(name) !== undefined);
  if (other !== undefined) {
    throw new UsageError(`Cannot use --${other.name}: it belongs to --stream`);
  }
  if (input === undefined) {
    throw new UsageError("Cannot classify: give an image, FILE:INDEX, - for stdin, or --dataset");
  }
  const raw = await readRawInput(input, terminal);
  using model = await loadForCommand(source, settings, terminal);
  stepSize(model.config);
  const values = await toModelInput(raw, model.config, terminal);
  const result = await classifyOne(model, values, terminal);
  terminal.write(args.has("json") ? `${toJson(result)}\n` : table(result, model));
}

async function classifyOne(
  model: Model,
  values: Float32Array,
  terminal: Terminal,
): Promise<Classification> {
  using _compiling = compilingLine(model, terminal);
  return await model.classify(values);
}

/** Counts how many sequences get the class that they are labelled with. */
async function classifyDataset(
  model: Model,
  data: ReadSet,
  args: Arguments,
  terminal: Terminal,
): Promise<void> {
  stepSize(model.config);
  const { name, split } = data;
  const { count: total, unit, labels, inputs } = data.for(model.config, terminal);
  const start = performance.now();
  let correct = 0;
  {
    using progress = new Progress(terminal, { label: "Classifying", total, unit, delayMs: 0 });
    using compiling = compilingLine(model, terminal);
    for (let done = 0; done < total;) {
      const count = Math.min(BATCH, total - done);
      const results = await model.classifyBatch(inputs(done, done + count), count);
      for (const [i, { index }] of results.entries()) {
        if (index === labels[done + i]) correct++;
      }
      done += count;
      compiling[Symbol.dispose]();
      progress.update(done, `${percent(correct / done)} correct`);
    }
  }
  const elapsedMs = performance.now() - start;
  const accuracy = correct / total;
  terminal.writeError(
    `${formatCount(total)} ${unit} in ${formatDuration(elapsedMs)}, ` +
      `${formatRate(total, elapsedMs)}/s\n`,
  );
  terminal.write(
    args.has("json")
      ? `${JSON.stringify({ dataset: name, split, correct, total, accuracy, elapsedMs })}\n`
      : `${correct} of ${total} correct (${percent(accuracy)})\n`,
  );
}

function toJson({ label, index, probabilities }: Classification): string {
  return JSON.stringify({ label, index, probabilities: [...probabilities] });
}

/** One class a line, the most probable first. */
function table({ probabilities }: Classification, { labels }: Model): string {
  return [...probabilities]
    .map((probability, index) => ({ probability, label: labels?.[index] ?? String(index) }))
    .sort((a, b) => b.probability - a.probability)
    .map(({ probability, label }) => `${label}\t${probability.toFixed(4)}\n`)
    .join("");
}

function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(2)}%`;
}
