/** `infer.ts generate`: text or ids, streamed as they come. */

import type { GeneratedToken } from "../../engine/generate.ts";
import type { Model } from "../../engine/model.ts";
import type { SamplingOptions } from "../../engine/sampling.ts";
import { decodeSnapshot, encodeSnapshot, type Snapshot } from "../../engine/snapshot.ts";
import { readDataFile } from "../../io/datasets/data_file.ts";
import { encodePng } from "../../io/images/png.ts";
import { writeWhole } from "../../io/write_whole.ts";
import { type Arguments, type CommandSpec, UsageError } from "../terminal/arguments.ts";
import { compilingLine } from "./compiling_line.ts";
import { describeStatistics, GenerationClock } from "./generation_clock.ts";
import { catchInterrupt, INTERRUPTED } from "../terminal/interrupt.ts";
import { LOAD_OPTIONS, loadForCommand, loadSettings } from "./load_model.ts";
import { PixelImage, pixelLayout } from "./pixel_image.ts";
import { feedPrompt, promptIds, readPrompt } from "./prompt.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { checkWritable } from "../terminal/write_file.ts";

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
    { name: "save-state", value: "FILE", help: "Write the state after the last token" },
    {
      name: "load-state",
      value: "FILE",
      help: "Go on from a written state; a prompt is fed after it",
    },
    { name: "png", value: "FILE", help: "Write the image of a model of pixels" },
    { name: "print-ids", help: "Print the generated ids as one JSON array instead of text" },
    { name: "json", help: "Print one JSON object a token, then one with statistics" },
    ...LOAD_OPTIONS,
  ],
};

/** Runs the command, and returns its exit code. */
export async function generate(args: Arguments, terminal: Terminal): Promise<number> {
  const [source = ""] = args.positionals;
  const askedTokens = args.integer("max-tokens", { min: 0 });
  const sampling = samplingOptions(args);
  const stop = args.texts("stop");
  if (stop.includes("")) throw new UsageError("Cannot use --stop: the text is empty");
  const settings = loadSettings(args);
  const loadPath = args.text("load-state"), savePath = args.text("save-state");
  const pngPath = args.text("png");
  const prompt = await readPrompt(args, terminal);
  const snapshot = loadPath === undefined
    ? undefined
    : await decodeSnapshot(await readDataFile(loadPath, "a saved state"), loadPath);

  for (const path of [savePath, pngPath]) if (path !== undefined) await checkWritable(path);

  using model = await loadForCommand(source, settings, terminal);
  const ids = promptIds(prompt, model, terminal, snapshot !== undefined);
  if (snapshot === undefined && ids.length === 0) {
    throw new UsageError("Cannot generate: the prompt is empty. Give --prompt, --ids or stdin");
  }
  const layout = pixelLayout(model.config);
  const image = layout &&
    new PixelImage(layout, { position: inputsOf(snapshot), colors: terminal.colors });
  if (pngPath !== undefined && image === undefined) {
    throw new TypeError("Cannot write a PNG: this model makes no images. Leave --png out");
  }
  using session = model.createSession(sampling);
  if (snapshot !== undefined) session.restore(snapshot);
  // Restoring brings the snapshot's settings; what the command line gives again comes with generate().
  const seed = sampling.seed ?? session.sampler.seed;
  terminal.writeError(`Seed: ${seed}\n`);
  const clock = new GenerationClock(ids.length);
  if (ids.length > 0) {
    await feedPrompt(model, session, ids, terminal);
    clock.prefilled();
  }
  const output = createOutput(args, terminal, model);
  if (image !== undefined) output.lines(image.feed(ids));
  const maxTokens = image === undefined
    ? askedTokens ?? 256
    : Math.min(askedTokens ?? Infinity, image.missing);
  // Only who saves a state needs an orderly end after Ctrl-C; else the default ends the process at once.
  using interruption = savePath === undefined ? undefined : catchInterrupt();
  const signal = interruption?.signal;
  // What draws, and what takes single tokens, are other kernels than the prompt's.
  using compiling = compilingLine(model, terminal);
  try {
    for await (const token of session.generate({ ...sampling, maxTokens, stop, signal })) {
      clock.generated();
      compiling[Symbol.dispose]();
      output.token(token);
      if (image !== undefined) output.lines(image.feed([token.id]));
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  compiling[Symbol.dispose]();
  const statistics = clock.statistics();
  output.end({ seed, ...statistics });
  if (pngPath !== undefined && image !== undefined) {
    await writeWhole(pngPath, encodePng(image));
    terminal.writeError(`Image: ${pngPath}, ${image.width} x ${image.height}\n`);
  }
  if (savePath !== undefined) {
    await writeWhole(savePath, encodeSnapshot(await session.snapshot()));
    terminal.writeError(`State: ${savePath}, after ${session.position} inputs\n`);
  }
  terminal.writeError(`${describeStatistics(statistics, model)}\n`);
  return signal?.aborted ? INTERRUPTED : 0;
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

interface Output {
  token(token: GeneratedToken): void;
  /** Lines of an image's drawing. */
  lines(text: string): void;
  end(statistics: object): void;
}

function createOutput(args: Arguments, terminal: Terminal, { config, tokenizer }: Model): Output {
  const json = args.has("json");
  const lines = () => {};
  if (args.has("print-ids")) {
    const ids: number[] = [];
    return {
      token: ({ id }) => ids.push(id),
      lines,
      end: (statistics) =>
        terminal.write(`${JSON.stringify(json ? { ids, ...statistics } : ids)}\n`),
    };
  }
  if (json) {
    return {
      token: ({ id, text, logprob, position }) =>
        terminal.write(`${JSON.stringify({ id, text, logprob, position })}\n`),
      lines,
      end: (statistics) => terminal.write(`${JSON.stringify({ statistics })}\n`),
    };
  }
  if (pixelLayout(config) !== undefined) {
    return { token: () => {}, lines: (text) => terminal.write(text), end: () => {} };
  }
  return {
    token: ({ id, text }) => terminal.write(tokenizer === undefined ? `${id} ` : text),
    lines,
    end: () => terminal.write("\n"),
  };
}
