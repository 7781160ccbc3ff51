/** `text`: a language model of any UTF-8 file, by characters or with a tokenizer. */

import {
  charactersOf,
  characterTokenizer,
  collectIds,
  decodeText,
  encodeCharacters,
  splitText,
  type TextIds,
  TRAINING_SHARE,
} from "../../io/datasets/text.ts";
import {
  byteOf,
  fileIds,
  type IdRange,
  type ScannedText,
  scanTextFile,
} from "../../io/datasets/text_file.ts";
import { tokenizedIds } from "../../io/datasets/tokenized_file.ts";
import { hashFile } from "../../io/hash_file.ts";
import { readDataFile } from "../../io/datasets/data_file.ts";
import { quote } from "../../io/quote.ts";
import { loadTokenizer, type Tokenizer } from "../../io/tokenizer/tokenizer.ts";
import { orderedSource, shuffledSource } from "../batches.ts";
import { dataHash } from "../data_hash.ts";
import type { Hyperparameters, Task, TaskOptions, TaskPreset } from "../task.ts";
import { choosePreset, COMMON, newConfig, settings } from "../task.ts";
import { laneSource, textWindows } from "../text_windows.ts";

/** A model of a text, and how it is trained. */
export interface LanguagePreset extends TaskPreset {
  readonly settings: Hyperparameters;
}

const PRESETS = {
  text: {
    name: "text",
    size: { d_model: 256, n_layer: 6, d_state: 16, d_conv: 4, expand: 2 },
    settings: {
      ...COMMON,
      ...{ steps: 5000, batchSize: 64, seqlen: 256, dropout: 0.2 },
      ...{ learningRate: 1e-3, minimumLearningRate: 1e-4 },
    },
  },
  small: {
    name: "small",
    isDefaultOnCpu: true,
    note: "31 s of CPU time, and loss 1.93 on README.md",
    size: { d_model: 64, n_layer: 2, d_state: 16, d_conv: 4, expand: 2 },
    settings: {
      ...COMMON,
      ...{ steps: 500, batchSize: 16, seqlen: 64, evaluateEvery: 50, dropout: 0.2 },
      ...{ learningRate: 4e-3, minimumLearningRate: 4e-4 },
    },
  },
} as const satisfies Readonly<Record<string, LanguagePreset>>;

/** Its presets; the first is the default. */
export const TEXT_PRESETS: readonly TaskPreset[] = Object.values(PRESETS);

/**
 * Presets `text` (the default) and `small`, for a CPU. `data` is the file; the first 90% of its characters train, the
 * last 10% validate, in windows of `seqlen`. With `carryState`, training goes through lanes whose state goes on from
 * window to window, and validation through the whole part in one stream.
 *
 * @throws {SyntaxError} If the file is empty, is not UTF-8, or holds one character over and over.
 * @throws {RangeError} If it is too short for its windows, or an option is out of range.
 */
export async function textTask(options: TaskOptions = {}): Promise<Task> {
  const preset = PRESETS[choosePreset("text", ["text", "small"], options)];
  if (options.data === undefined) {
    throw new TypeError('Cannot load the task "text": it has no data. Give a UTF-8 file as data');
  }
  const { data } = options;
  const sizeBytes = await Deno.stat(data).then(({ isFile, size }) => isFile ? size : 0, () => 0);
  if (sizeBytes > MOST_IN_MEMORY) {
    return await largeTextTask(data, preset, options);
  }
  const text = decodeText(await readDataFile(data, "text"), data);
  return await languageTask({ name: "text", text, preset }, options);
}

/** A longer text is read by ranges: as one text, and its ids, it would take four times as much memory. */
const MOST_IN_MEMORY = 2 ** 26;

/** A language model of a file that is larger than memory may be. */
export async function largeTextTask(
  path: string,
  preset: LanguagePreset,
  options: TaskOptions,
): Promise<Task> {
  const defaults = settings(preset.settings, options);
  const given = await givenTokenizer(options);
  const text = await scanTextFile(path);
  const { characterCount, characters, firstRun, sizeBytes } = text;
  const trained = Math.floor(characterCount * TRAINING_SHARE);
  const common = { name: "text", preset, defaults, options, notes: notesOf(text) };
  if (given !== undefined) {
    const { json, tokenizer } = given;
    const border = byteOf(text, trained);
    const train = await tokenizedIds({ path, start: byteOf(text, 0), end: border }, tokenizer);
    requireVariety(train, options);
    return textSources({
      ...{ ...common, tokenizer: json, vocab_size: tokenizer.vocabSize, train },
      validation: await tokenizedIds({ path, start: border, end: sizeBytes }, tokenizer),
      dataHash: async () => await dataHash([json, await hashFile(path)]),
    });
  }
  requireTwo(characters);
  if (firstRun >= trained) throw monotonous(trained);
  return textSources({
    ...common,
    tokenizer: characterTokenizer(characters),
    vocab_size: characters.length,
    train: fileIds(text, { start: 0, end: trained }),
    validation: fileIds(text, { start: trained, end: characterCount }),
    dataHash: () => hashFile(path),
  });
}

/** A language model of a text. */
export async function languageTask(
  { name, text, preset }: {
    readonly name: string;
    readonly text: string;
    readonly preset: LanguagePreset;
  },
  options: TaskOptions,
): Promise<Task> {
  const defaults = settings(preset.settings, options);
  const { tokenizer, vocab_size, encode } = await vocabulary(text, options);
  const parts = splitText(text);
  const train = encode(parts.train), validation = encode(parts.validation);
  const other = train.findIndex((id: number) => id !== train[0]);
  requireVariety({ length: train.length, firstRun: other < 0 ? train.length : other }, options);
  const counts = { lineEnds: occurrences(text, "\r\n"), nuls: occurrences(text, "\0") };
  return textSources({
    ...{ name, preset, defaults, options, tokenizer, vocab_size, train, validation },
    notes: notesOf(counts),
    dataHash: () => dataHash([tokenizer, train, validation]),
  });
}

/** The windows of a text's two parts. */
function textSources(
  { name, preset, defaults, options, tokenizer, vocab_size, train, validation, notes, dataHash }: {
    readonly name: string;
    readonly preset: LanguagePreset;
    readonly defaults: Hyperparameters;
    readonly options: TaskOptions;
    readonly tokenizer: string;
    readonly vocab_size: number;
    readonly train: IdRange;
    readonly validation: IdRange;
    readonly notes: readonly string[];
    readonly dataHash: () => Promise<string>;
  },
): Task {
  const config = newConfig(preset.size, {
    input: { kind: "embedding", vocab_size },
    head: { kind: "lm", vocab_size, tied: true },
  }, options);
  const { batchSize, seqlen, seed, carryState } = defaults;
  const count = (ids: IdRange) => ids.length.toLocaleString("en-US");
  return {
    ...{ name, config, defaults, tokenizer, notes, dataHash },
    train: carryState
      ? laneSource(train, { batchSize, seqlen, seed })
      : shuffledSource(textWindows(train, { seqlen, seed }), { batchSize, seed }),
    validation: carryState
      ? laneSource(validation, { batchSize: 1, seqlen: streamWindow(validation) })
      : orderedSource(textWindows(validation, { seqlen }), { batchSize }),
    summary: `${count(train)} tokens to train on, ${count(validation)} to validate with, ` +
      `${vocab_size} different ones`,
  };
}

/** What a model of the text learns, and perhaps should not. */
function notesOf({ lineEnds, nuls }: Pick<ScannedText, "lineEnds" | "nuls">): string[] {
  const found = [
    [lineEnds, "line ends of two characters, CR and LF: the model learns to write both"],
    [nuls, "characters NUL: is it a text?"],
  ] as const;
  return found.flatMap(([count, what]) =>
    count === 0 ? [] : [`the text has ${count.toLocaleString("en-US")} ${what}`]
  );
}

function occurrences(text: string, sought: string): number {
  let count = 0;
  for (let at = text.indexOf(sought); at >= 0; at = text.indexOf(sought, at + sought.length)) {
    count++;
  }
  return count;
}

/** Steps of a pass over a stream: enough to fill a GPU with one sequence, and the result does not depend on it. */
function streamWindow(ids: IdRange): number {
  return Math.max(1, Math.min(2048, ids.length - 1));
}

/** Refuses what teaches nothing: no tokens, or one over and over. */
function requireVariety(
  { length, firstRun }: { readonly length: number; readonly firstRun: number },
  { tokenizer }: TaskOptions,
): void {
  if (length === 0 && tokenizer !== undefined) {
    throw new SyntaxError(
      `Cannot train on the text: ${quote(tokenizer)} has no token for any of it, ${TWO_NEEDED}`,
    );
  }
  if (length > 1 && firstRun === length) throw monotonous(length);
}

const TWO_NEEDED = "expected two different tokens or more to train on";

function monotonous(count: number): SyntaxError {
  return new SyntaxError(
    `Cannot train on the text: its first 90% are ${count} times the same token, ${TWO_NEEDED}`,
  );
}

/** @throws {SyntaxError} If a text has one character only. */
function requireTwo(characters: readonly string[]): void {
  if (characters.length >= 2) return;
  throw new SyntaxError(
    `Cannot train on the text: its only character is ${JSON.stringify(characters[0] ?? "")}, ` +
      `expected two different ones or more`,
  );
}

/** The characters of the text, or the tokenizer that the options name. */
async function vocabulary(text: string, options: TaskOptions): Promise<{
  readonly tokenizer: string;
  readonly vocab_size: number;
  readonly encode: (text: string) => TextIds;
}> {
  const given = await givenTokenizer(options);
  if (given !== undefined) {
    const { json, tokenizer } = given;
    return {
      tokenizer: json,
      vocab_size: tokenizer.vocabSize,
      encode: (part) => collectIds(tokenizer.encodeInPieces(part), tokenizer.vocabSize),
    };
  }
  const characters = charactersOf(text);
  requireTwo(characters);
  return {
    tokenizer: characterTokenizer(characters),
    vocab_size: characters.length,
    encode: (part) => encodeCharacters(part, characters),
  };
}

/** The tokenizer that the options name, and its file's text. */
async function givenTokenizer(
  { tokenizer: path }: TaskOptions,
): Promise<{ readonly json: string; readonly tokenizer: Tokenizer } | undefined> {
  if (path === undefined) return undefined;
  const json = decodeText(await readDataFile(path, "a tokenizer.json"), path);
  return { json, tokenizer: loadTokenizer(json, path) };
}
