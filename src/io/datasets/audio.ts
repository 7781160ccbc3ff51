/** Labelled recordings: the WAV files of a folder or a TAR archive, their class the folder's name or how the file's begins. */

import { requireRate } from "../audio/sound_input.ts";
import { parseWav, type Recording } from "../audio/wav.ts";
import { openFile } from "../file_source.ts";
import { foreignForm, TOLD_BY_BYTES } from "../foreign_file.ts";
import { quote } from "../quote.ts";
import { isTar, tarEntries } from "../tar.ts";
import { readDataFile } from "./data_file.ts";
import type { Split } from "./image_dataset.ts";

/** A recording and what it is of. */
export interface LabelledRecording extends Recording {
  /** Its path in the folder or archive. */
  readonly path: string;
  /** Its class, as an index into `classNames`. */
  readonly label: number;
}

/** Labelled recordings. */
export interface AudioDataset {
  /** What messages call it. */
  readonly name: string;
  /** Samples a second of most of them, in both splits together; of several such rates the lowest. */
  readonly sample_rate: number;
  /** In the order of their paths. */
  readonly recordings: readonly LabelledRecording[];
  /** Class names by label. */
  readonly classNames: readonly string[];
}

/** Options of {@linkcode loadAudio}. */
export interface AudioOptions {
  /**
   * Which recordings are for tests: a regular expression that their paths contain.
   *
   * @default {undefined} Those in a folder named test, and those whose names end in _0 to _4, as the spoken digits' are.
   */
  readonly test?: string | undefined;
}

/** A folder of test files, or the official test set of the spoken digits. */
export const DEFAULT_TEST = String.raw`(^|/)test(ing)?/|_[0-4]\.wav$`;
/** Folders that say what files are for, not what they are of. */
const SPLIT_FOLDERS: readonly string[] = ["train", "training", "test", "testing"];
/** Longer than any word, and far below what memory holds. */
const MAX_FILE_BYTES = 2 ** 28;

/** A file to read. */
interface FoundFile {
  readonly path: string;
  read(): Promise<Uint8Array>;
}

/**
 * Loads recordings and their classes.
 *
 * Where the files lie in several folders (but for train and test), a file's class is its folder; where they lie in one,
 * it is what its name begins with, up to the first of _ - and a space.
 *
 * @param source A folder, or a TAR archive that is not packed.
 * @returns Both splits, with the same classes.
 * @throws {SyntaxError} If a file is no WAV file, a name tells no class, there are fewer than two classes, or one of the splits is empty.
 * @throws {RangeError} If the pattern is none, or a file's sample rate is none of sound.
 */
export async function loadAudio(
  source: string,
  { test = DEFAULT_TEST }: AudioOptions = {},
): Promise<Readonly<Record<Split, AudioDataset>>> {
  const isTest = toPattern(test);
  const recordings: { path: string; recording: Recording }[] = [];
  for await (const { path, read } of filesOf(source)) {
    const recording = parseWav(await read(), path);
    requireRate(quote(path), recording.sample_rate);
    recordings.push({ path, recording });
  }
  if (recordings.length === 0) {
    throw new SyntaxError(`Cannot use ${quote(source)}: it holds no file whose name ends in .wav`);
  }
  recordings.sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  const sample_rate = mostCommon(recordings.map(({ recording }) => recording.sample_rate));
  const classOf = classNamer(source, recordings.map(({ path }) => path));
  const names = [...new Set(recordings.map(({ path }) => classOf(path)))].sort();
  if (names.length < 2) {
    throw new SyntaxError(
      `Cannot use ${quote(source)}: all recordings are of class ${
        quote(names[0] ?? "")
      }, expected two classes or more`,
    );
  }
  const labelled = recordings.map(({ path, recording }) => (
    { ...recording, path, label: names.indexOf(classOf(path)) }
  ));
  const part = (split: Split): AudioDataset => {
    const own = labelled.filter(({ path }) => isTest.test(path) === (split === "test"));
    if (own.length > 0) return { name: source, sample_rate, recordings: own, classNames: names };
    throw new SyntaxError(
      `Cannot use ${quote(source)}: of ${labelled.length} recordings ${
        split === "test" ? "none" : "all"
      } match ${quote(test)}, the pattern of those to test with`,
    );
  };
  return { train: part("train"), test: part("test") };
}

/** What most are; of several the least. */
function mostCommon(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [[most = 0] = []] = [...counts].sort(([a, m], [b, n]) => n - m || a - b);
  return most;
}

function toPattern(test: string): RegExp {
  try {
    return new RegExp(test);
  } catch (cause) {
    throw new RangeError(`Cannot use ${quote(test)} as a pattern: it is no regular expression`, {
      cause,
    });
  }
}

/** What tells a path's class. */
function classNamer(source: string, paths: readonly string[]): (path: string) => string {
  const folderOf = (path: string) =>
    path.split("/").slice(0, -1).filter((name) => !SPLIT_FOLDERS.includes(name)).at(-1) ?? "";
  if (new Set(paths.map(folderOf)).size > 1) return folderOf;
  return (path) => {
    const name = path.split("/").at(-1) ?? path;
    const end = name.search(/[_\- ]/);
    if (end > 0) return name.slice(0, end);
    throw new SyntaxError(
      `Cannot use ${quote(source)}: the name of ${
        quote(path)
      } tells no class, expected one before _ or -, or a folder a class`,
    );
  };
}

/** The WAV files of a folder or an archive. */
async function* filesOf(source: string): AsyncGenerator<FoundFile, void> {
  if ((await Deno.stat(source).catch(() => undefined))?.isDirectory) {
    yield* folderFiles(source, "");
    return;
  }
  // What is not there, or is packed, is refused in one line.
  const start = await startOf(source);
  if (!isTar(start)) {
    const known = foreignForm(start);
    throw new SyntaxError(
      `Cannot read ${quote(source)}: ${known ?? "it is neither a folder nor a TAR archive"}`,
    );
  }
  const archive = await openFile(source);
  try {
    for await (const { path, offset, sizeBytes } of tarEntries(archive)) {
      if (!isWavPath(path)) continue;
      requireSize(path, sizeBytes);
      yield { path: path.replace(/^(\.\/)+/, ""), read: () => archive.read(offset, sizeBytes) };
    }
  } finally {
    archive[Symbol.dispose]();
  }
}

async function startOf(source: string): Promise<Uint8Array> {
  const file = await openFile(source).catch((cause) => {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Deno.errors.NotFound(
      `Cannot read ${quote(source)}: there is no such folder or file`,
      { cause },
    );
  });
  try {
    return await file.read(0, Math.min(TOLD_BY_BYTES, file.sizeBytes));
  } finally {
    file[Symbol.dispose]();
  }
}

async function* folderFiles(root: string, inner: string): AsyncGenerator<FoundFile, void> {
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${inner}`)) {
    const path = inner === "" ? name : `${inner}/${name}`;
    if (isDirectory) yield* folderFiles(root, path);
    else if (isWavPath(path)) {
      yield { path, read: () => readDataFile(`${root}/${path}`, "a recording") };
    }
  }
}

/** What other systems put beside files of their own begins with a dot. */
function isWavPath(path: string): boolean {
  return /(^|\/)[^./][^/]*\.wav$/i.test(path);
}

function requireSize(path: string, sizeBytes: number): void {
  if (sizeBytes <= MAX_FILE_BYTES) return;
  throw new RangeError(
    `Cannot use ${
      quote(path)
    }: it has ${sizeBytes} bytes, and recordings of up to ${MAX_FILE_BYTES} are read`,
  );
}
