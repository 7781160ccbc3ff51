/** `infer.ts generate`: text or ids, streamed as they come. */

import type { SamplingOptions } from "../../engine/sampling.ts";
import type { Snapshot } from "../../engine/snapshot.ts";
import { encodePng } from "../../io/images/png.ts";
import { writeWhole } from "../../io/write_whole.ts";
import { type Arguments, type CommandSpec, UsageError } from "../terminal/arguments.ts";
import { catchInterrupt } from "../terminal/interrupt.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { checkWritable } from "../terminal/write_file.ts";
import { compilingLine } from "./compiling_line.ts";
import { generateBranches } from "./generate_branches.ts";
import { createOutput } from "./generate_output.ts";
import { describeStatistics, GenerationClock } from "./generation_clock.ts";
import { LOAD_OPTIONS, loadForCommand, loadSettings } from "./load_model.ts";
import { PixelImage, pixelLayout } from "./pixel_image.ts";
import { beginWith, readPrompt } from "./prompt.ts";
import { openStateFile, STATE_OPTIONS } from "./state_file.ts";

/** What the parser and the help know of this command. */
export const GENERATE: CommandSpec = {
  name: "generate",
  summary: "Continues a text, or a sequence of token ids.",
  positionals: ["<model>"],
  required: 1,
  example: `generate ./mamba-130m-hf --prompt "Mamba is" --max-tokens 50 --seed 1`,
  details: [
    "The text goes to stdout as it comes, everything else to stderr. Without --prompt and --ids the\n" +
    "prompt is read from stdin, unless a state is loaded or stdin is a terminal.",
    "A long prompt on stdin is fed as it comes, in constant memory.",
    "--save-state keeps all that the next token depends on: 200 tokens at once are the same as 100,\n" +
    "--save-state, then --load-state in another process, and 100 more. Sampling options come from the\n" +
    "state, unless they are given again.",
    "A model of pixels takes a class for its prompt, such as --prompt 7, or --ids that begin an image.\n" +
    "It generates the rest of that image, which is drawn as it comes.",
  ],
  options: [
    { name: "prompt", value: "TEXT", help: "The beginning (default: stdin; - is stdin too)" },
    { name: "ids", value: "FILE", help: "The beginning as a JSON array of token ids" },
    {
      name: "max-tokens",
      value: "N",
      help: "Tokens to generate at most (default 256, or one image)",
    },
    { name: "temperature", value: "T", help: "0 always takes the likeliest token (default 1)" },
    { name: "top-k", value: "K", help: "Draw from the K likeliest tokens (default 0: all)" },
    {
      name: "top-p",
      value: "P",
      help: "Draw from the likeliest that hold P together (default 1: all)",
    },
    { name: "min-p", value: "P", help: "Leave out what is below P x the likeliest (default 0)" },
    { name: "repetition-penalty", value: "R", help: "Above 1 disfavors recent tokens (default 1)" },
    { name: "seed", value: "S", help: "Same seed, same tokens (default: random, and printed)" },
    { name: "stop", value: "TEXT", repeats: true, help: "End where this text comes; may repeat" },
    {
      name: "branches",
      value: "N",
      help: "N continuations of one prompt, with the seeds S, S + 1, ... (at most 256)",
    },
    ...STATE_OPTIONS,
    { name: "png", value: "FILE", help: "Write the image of a model of pixels" },
    { name: "print-ids", help: "Print the generated ids as one JSON array instead of text" },
    { name: "json", help: "Print one JSON object a token, then one with statistics" },
    ...LOAD_OPTIONS,
  ],
};

/** Each has a state of its own on the device. */
const MOST_BRANCHES = 256;

/** Runs the command, and returns its exit code. */
export async function generate(args: Arguments, terminal: Terminal): Promise<number> {
  const [source = ""] = args.positionals;
  const askedTokens = args.integer("max-tokens", { min: 0 });
  const sampling = samplingOptions(args);
  const stop = args.texts("stop");
  if (stop.includes("")) throw new UsageError("Cannot use --stop: the text is empty");
  const settings = loadSettings(args);
  const pngPath = args.text("png");
  const branches = args.integer("branches", { min: 1, max: MOST_BRANCHES });
  const alone = ["save-state", "png"].find((name) => args.text(name) !== undefined);
  if (branches !== undefined && alone !== undefined) {
    throw new UsageError(
      `Cannot use --branches and --${alone} together: it is of one continuation`,
    );
  }
  const prompt = await readPrompt(args, terminal);
  const states = await openStateFile(args, terminal);
  if (pngPath !== undefined) await checkWritable(pngPath);

  using model = await loadForCommand(source, settings, terminal);
  const layout = pixelLayout(model.config);
  if (pngPath !== undefined && layout === undefined) {
    throw new TypeError("Cannot write a PNG: this model makes no images. Leave --png out");
  }
  using session = model.createSession(sampling);
  states.begin(session);
  // Restoring brings the snapshot's settings; what the command line gives again comes with generate().
  const seed = sampling.seed ?? session.sampler.seed;
  terminal.writeError(`Seed: ${seed}\n`);
  const clock = new GenerationClock();
  const { ids, count } = await beginWith(prompt, model, session, terminal);
  if (count > 0) clock.prefilled(count);
  const image = layout &&
    new PixelImage(layout, { position: inputsOf(states.loaded), colors: terminal.colors });
  const drawing = image?.feed(ids) ?? "";
  const maxTokens = image === undefined
    ? askedTokens ?? 256
    : Math.min(askedTokens ?? Infinity, image.missing);
  const options = { ...sampling, maxTokens, stop };
  if (branches !== undefined) {
    const begun = { position: inputsOf(states.loaded), ids };
    await generateBranches(
      model,
      session,
      { count: branches, seed, options, clock, image: begun },
      args,
      terminal,
    );
    terminal.writeError(`${describeStatistics(clock.statistics(), model)}\n`);
    return 0;
  }
  const output = createOutput(args, model, (text) => terminal.write(text));
  output.lines(drawing);
  // Only who saves a state needs an orderly end after Ctrl-C; else the default ends the process at once.
  using interruption = states.saves ? catchInterrupt() : undefined;
  const signal = interruption?.signal;
  await states.keep(session, async () => {
    // What draws, and what takes single tokens, are other kernels than the prompt's.
    using compiling = compilingLine(model, terminal);
    const saving = {
      snapshotEvery: states.every,
      onSnapshot: (snapshot: Snapshot) => states.write(snapshot),
    };
    try {
      for await (const token of session.generate({ ...options, ...saving, signal })) {
        clock.generated();
        compiling[Symbol.dispose]();
        output.token(token);
        if (image !== undefined) output.lines(image.feed([token.id]));
      }
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
    output.end({ seed, ...clock.statistics() });
    if (pngPath !== undefined && image !== undefined) {
      await writeWhole(pngPath, encodePng(image));
      terminal.writeError(`Image: ${pngPath}, ${image.width} x ${image.height}\n`);
    }
  });
  terminal.writeError(`${describeStatistics(clock.statistics(), model)}\n`);
  return interruption?.code ?? 0;
}

function samplingOptions(args: Arguments): SamplingOptions {
  return {
    temperature: args.number("temperature", { min: 0 }),
    topK: args.integer("top-k", { min: 0, max: 2 ** 32 - 1 }),
    topP: args.number("top-p", { above: 0, max: 1 }),
    minP: args.number("min-p", { min: 0, max: 1 }),
    repetitionPenalty: args.number("repetition-penalty", { above: 0 }),
    seed: args.integer("seed", { min: 0, max: Number.MAX_SAFE_INTEGER }),
  };
}

/** Inputs before what is fed next, a token that waits to be fed among them. */
function inputsOf(snapshot: Snapshot | undefined): number {
  if (snapshot === undefined) return 0;
  return snapshot.position + (snapshot.pendingToken === undefined ? 0 : 1);
}
