/** `infer.ts score`: how well a model foresees a text, token by token. */

import type { Model } from "../../../engine/model.ts";
import type { Session } from "../../../engine/session.ts";
import { requireScore, type TokenIds, type TokenScore } from "../../../engine/score.ts";
import { readDataFile } from "../../../io/datasets/data_file.ts";
import { decodeText } from "../../../io/datasets/text.ts";
import { createRowWriter } from "../../../io/row_writer.ts";
import { type Arguments, type CommandSpec, UsageError } from "../../terminal/arguments.ts";
import { compilingLine } from "../compiling_line.ts";
import { DATASET_OPTIONS, datasetLoader } from "../dataset_options.ts";
import { encodeText } from "../encode_text.ts";
import { formatCount, formatDuration, formatRate } from "../../terminal/format.ts";
import { checkIdRange, readIds } from "../id_file.ts";
import { LOAD_OPTIONS, loadForCommand, loadSettings } from "../load_model.ts";
import { Progress } from "../../terminal/progress.ts";
import { createScoreOutput, ScoreSums } from "./score_output.ts";
import { requireTokens } from "../require_tokens.ts";
import { scoreStream } from "./score_stream.ts";
import { STATE_OPTIONS } from "../state_file.ts";
import { scoreDataset } from "./score_dataset.ts";
import { scoreLogits } from "./score_logits.ts";
import type { Terminal } from "../../terminal/terminal.ts";

/** What the parser and the help know of this command. */
export const SCORE: CommandSpec = {
  name: "score",
  summary:
    "Says how well a model foresees a text: log-probability by token, perplexity, bits per byte.",
  positionals: ["<model>", "[-]"],
  required: 1,
  example: "score ./mamba-130m-hf --text README.md",
  details: [
    "Prints a line a token: id, log-probability in nats, rank (0: the likeliest), text; then the sums.\n" +
    "The first token of a sequence has nothing before it, and no score: - or null.",
    "The whole text is one stream: each token is foreseen from all before it. --window N foresees it from\n" +
    "at most N, which gives the validation loss of a model that was trained with --seqlen N.",
    "Stdin is scored as it comes, in constant memory, and may have no end. With -, or with --follow, a line a\n" +
    "token is printed at once: id, surprisal in bits, running perplexity, text; with --json, an object. A line\n" +
    "says where an alarm starts and ends: the token's place in the stream, the window's mean in bits, its text.",
    "For a model of pixels, --dataset scores images, each for itself, and prints the mean over all pixels.",
  ],
  options: [
    { name: "text", value: "FILE", help: "The text to score (default: stdin)" },
    {
      name: "follow",
      value: "FILE",
      help: "Score a file, and what is written to it, such as a log; Ctrl-C ends it",
    },
    { name: "ids", value: "FILE", help: "Token ids: a JSON array, or one of arrays (sequences)" },
    { name: "window", value: "N", help: "Forget all before after every N tokens (default: never)" },
    {
      name: "logits",
      value: "FILE",
      help: "Also write f32 logits [T, vocab_size], as safetensors",
    },
    {
      name: "half-life",
      value: "N",
      help: "Tokens after which one counts half in the running perplexity (default 1000)",
    },
    {
      name: "alarm",
      value: "BITS",
      help: "Say where the mean surprisal of a window rises to so many bits a token, and falls",
    },
    { name: "alarm-window", value: "N", help: "Tokens of that window (default 32)" },
    ...STATE_OPTIONS,
    ...DATASET_OPTIONS,
    { name: "summary", help: "Print the sums alone" },
    { name: "json", help: "Print one JSON object, or with - one a line" },
    ...LOAD_OPTIONS,
  ],
};

/** Options that only a stream has. */
const STREAM_OPTIONS = [
  ...["half-life", "alarm", "alarm-window", "save-state", "save-every", "load-state"],
];

/** Logits that are in memory at once. */
const LOGIT_PIECE_BYTES = 16_000_000;

interface Sequences {
  readonly sequences: readonly TokenIds[];
  /** Whether the file held an array of arrays: the output then has that form too. */
  readonly nested: boolean;
}

/** Runs the command. */
export async function score(args: Arguments, terminal: Terminal): Promise<number | void> {
  const [source = "", input] = args.positionals;
  if (input !== undefined && input !== "-") {
    throw new UsageError(`Cannot score "${input}": give --text FILE, or - for stdin`);
  }
  const settings = loadSettings(args);
  const loadImages = datasetLoader(args);
  if (loadImages !== undefined) {
    const other = ["text", "ids", "window", "logits", ...STREAM_OPTIONS]
      .find((name) => args.text(name) !== undefined);
    if (other !== undefined) {
      throw new UsageError(`Cannot use --${other} and --dataset together: give one`);
    }
    const data = await loadImages();
    using model = await loadForCommand(source, settings, terminal);
    return await scoreDataset(model, data, args, terminal);
  }
  const logitsPath = args.text("logits");
  const window = args.integer("window", { min: 1 });
  if (window !== undefined && logitsPath !== undefined) {
    throw new UsageError("Cannot use --window and --logits together: give one");
  }
  const text = args.text("text"), follow = args.text("follow");
  const given = ["--text", "--ids", "--follow"]
    .filter((name) => args.text(name.slice(2)) !== undefined).concat(input ?? []);
  if (given.length > 1) {
    throw new UsageError(
      `Cannot use ${given.join(" and ")} together: the input is one of them`,
    );
  }
  const isStdin = args.text("ids") === undefined && (text ?? "-") === "-" && follow === undefined;
  if (isStdin && terminal.stdinIsTerminal) {
    throw new UsageError("Cannot score: give --text, --ids, or text on stdin");
  }
  if (follow !== undefined || isStdin && logitsPath === undefined) {
    if (logitsPath !== undefined) throw new UsageError("Cannot use --logits with --follow");
    return await scoreStream({ source, follow, isLines: input === "-" }, args, terminal, settings);
  }
  const stream = STREAM_OPTIONS.find((name) => args.text(name) !== undefined);
  if (stream !== undefined) {
    throw new UsageError(`Cannot use --${stream}: it belongs to a stream, such as - for stdin`);
  }
  const read = await readInput(args, terminal);
  if (logitsPath !== undefined && "sequences" in read) checkEqualLengths(read, args.text("ids"));
  using model = await loadForCommand(source, settings, terminal);
  const { sequences, nested } = toSequences(read, model, args.text("ids") ?? "", terminal);
  const total = sequences.reduce((sum, ids) => sum + ids.length, 0);
  const start = performance.now();
  const form = { isShort: args.has("summary"), isJson: args.has("json"), nested };
  const output = createScoreOutput(form, model, (text) => terminal.write(text));
  const sums = new ScoreSums("text" in read ? read.text : undefined, model);
  {
    // Where the scores themselves come on a screen, no line is written between them.
    using progress = terminal.screen() === undefined || form.isShort
      ? new Progress(terminal, { label: "Scoring", total, unit: "tokens" })
      : undefined;
    using compiling = compilingLine(model, terminal);
    let done = 0;
    const take = (score: TokenScore) => {
      compiling[Symbol.dispose]();
      sums.add(score.id, score.logprob);
      output.add(score);
      progress?.update(++done);
    };
    const each = logitsPath === undefined
      ? scoreEach(model, sequences, window)
      : scoreWithLogits(model, sequences, nested, logitsPath);
    for await (const scores of each) {
      for await (const score of scores) take(score);
      output.endSequence();
    }
  }
  const elapsedMs = performance.now() - start;
  terminal.writeError(
    `${formatCount(total)} tokens in ${formatDuration(elapsedMs)}, ` +
      `${formatRate(total, elapsedMs)} tokens/s\n`,
  );
  output.end(sums.summary());
}

type Input = { readonly text: string } | Sequences;

async function readInput(args: Arguments, terminal: Terminal): Promise<Input> {
  const textPath = args.text("text") ?? "-", idsPath = args.text("ids");
  if (idsPath !== undefined) return await readIds(idsPath);
  if (textPath !== "-") return { text: decodeText(await readDataFile(textPath, "text"), textPath) };
  return { text: decodeText(await terminal.readStdin(), "stdin") };
}

function checkEqualLengths({ sequences }: Sequences, path = ""): void {
  const [first = []] = sequences;
  const other = sequences.findIndex((ids) => ids.length !== first.length);
  if (other >= 0) {
    throw new RangeError(
      `Cannot write the logits of "${path}" as one tensor: sequence 0 has ${first.length} tokens ` +
        `and sequence ${other} has ${sequences[other]?.length}`,
    );
  }
}

function toSequences(input: Input, model: Model, path: string, terminal: Terminal): Sequences {
  const { vocab_size } = requireTokens(model, "score");
  if ("sequences" in input) {
    for (const ids of input.sequences) checkIdRange(ids, vocab_size, path);
    return input;
  }
  const ids = encodeText(input.text, "text", model, terminal);
  if (ids.length === 0) {
    throw new RangeError("Cannot score: the tokenizer makes no tokens of the text");
  }
  return { sequences: [ids], nested: false };
}

/** The scores of each sequence, as they come. */
function* scoreEach(
  model: Model,
  sequences: Sequences["sequences"],
  window: number | undefined,
): Generator<AsyncIterable<TokenScore>, void> {
  for (const ids of sequences) yield model.score(ids, { window });
}

/** One pass gives both: the logits of each step are written, and say how likely the next token was. */
async function* scoreWithLogits(
  model: Model,
  sequences: Sequences["sequences"],
  nested: boolean,
  path: string,
): AsyncGenerator<AsyncIterable<TokenScore>, void> {
  const vocab_size = model.config.head.kind === "lm" ? model.config.head.vocab_size : 0;
  const seqlen = sequences[0]?.length ?? 0;
  const shape = nested ? [sequences.length, seqlen, vocab_size] : [seqlen, vocab_size];
  await using file = await createRowWriter(path, "logits", shape);
  using session = model.createSession();
  for (const ids of sequences) {
    session.reset();
    yield scoreRows(session, ids, model, (logits) => file.write(logits));
  }
  await file.close();
}

async function* scoreRows(
  session: Session,
  ids: TokenIds,
  { config: { head, real_vocab_size } }: Model,
  write: (logits: Float32Array) => Promise<void>,
): AsyncGenerator<TokenScore, void> {
  const vocab_size = head.kind === "lm" ? head.vocab_size : 0;
  const pieceLength = Math.max(1, Math.min(512, Math.floor(LOGIT_PIECE_BYTES / 4 / vocab_size)));
  yield { id: ids[0] ?? 0, logprob: NaN, rank: NaN, entropy: NaN };
  for (let at = 0; at < ids.length; at += pieceLength) {
    const piece = ids.slice(at, at + pieceLength);
    const logits = await session.prefill(piece, { logits: "all" });
    if (logits === undefined) throw new TypeError("Cannot write logits: the model gave none");
    await write(logits);
    for (const i of piece.keys()) {
      const next = ids[at + i + 1];
      if (next === undefined) continue;
      const row = logits.subarray(i * vocab_size, i * vocab_size + real_vocab_size);
      const score = scoreLogits(row, next);
      requireScore(score.logprob, at + i + 1);
      yield { id: next, ...score };
    }
  }
}
