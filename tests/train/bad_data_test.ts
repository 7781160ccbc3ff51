import { assert, assertEquals, assertRejects } from "@std/assert";
import { trainCommand } from "../../src/cli/train/train.ts";
import { loadTask, TASK_NAMES, TASK_PRESETS } from "../../src/train/tasks/load_task.ts";
import { FakeTerminal } from "../cli/terminal/fake_terminal.ts";
import { s16, wavFile } from "../io/audio/wav_file.ts";
import { encodePng } from "../io/images/png_file.ts";
import { tarFile } from "../io/tar_file.ts";
import "../settle_readbacks.ts";

/** Contents by name; one named "data" is given as the data itself, else the folder is. */
type Files = Readonly<Record<string, string | Uint8Array>>;

interface BadData {
  readonly tasks: readonly string[];
  /** What is wrong, for the reader. */
  readonly what: string;
  readonly files: Files;
  readonly kind: new (message?: string) => Error;
  /** A part of the message. */
  readonly message: string;
  /** A tokenizer.json, for text. */
  readonly tokenizer?: string | Uint8Array;
}

/** An IDX file of bytes. */
function idx(shape: readonly number[], data: Uint8Array): Uint8Array {
  const file = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(file.buffer);
  view.setUint32(0, 0x800 + shape.length);
  shape.forEach((size, i) => view.setUint32(4 + 4 * i, size));
  file.set(data, 4 + 4 * shape.length);
  return file;
}

const IMAGES = "train-images-idx3-ubyte", LABELS = "train-labels-idx1-ubyte";
const TWO_IMAGES = idx([2, 28, 28], new Uint8Array(2 * 784));
const TWO_LABELS = idx([2], Uint8Array.of(3, 7));
const TEN_THOUSAND_LABELS = JSON.stringify(Array.from({ length: 10_000 }, (_, i) => i % 10));
const LONG_TEXT = "to be or not to be\n".repeat(40);
const SERIES = "1 1 2\n2 3 4\n";
const GZIP = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0);

/** A pickle of a dict, whose members are other pickles' opcodes. */
const EMPTY_DICT = Uint8Array.of(0x80, 2, 0x7d, 0x2e);

const MNIST: Omit<BadData, "files" | "what" | "message"> = {
  tasks: ["mnist", "mnist-pixels"],
  kind: SyntaxError,
};
const CIFAR10 = { tasks: ["cifar10"], kind: SyntaxError };
const TEXT = { tasks: ["text"], kind: SyntaxError };
const SHAKESPEARE = { tasks: ["shakespeare"], kind: SyntaxError };
const UCR = { tasks: ["series"], kind: SyntaxError };
const MNIST1D = { tasks: ["mnist1d"], kind: SyntaxError };
const AUDIO = { tasks: ["audio"], kind: SyntaxError };
const WAV = wavFile(s16([0, 0.5]));
const NO_FILE = Deno.errors.NotFound;

const CASES: readonly BadData[] = [
  { ...MNIST, what: "no file", files: {}, kind: NO_FILE, message: "there is no such file" },
  {
    ...MNIST,
    what: "a packed file",
    files: { [`${IMAGES}.gz`]: GZIP },
    kind: NO_FILE,
    message: `${IMAGES}.gz" first`,
  },
  {
    ...MNIST,
    what: "a packed file under another name",
    files: { [IMAGES]: GZIP, [LABELS]: TWO_LABELS },
    message: "it is packed with gzip: unpack it first",
  },
  {
    ...MNIST,
    what: "a file in the folder's place",
    files: { data: "x" },
    kind: NO_FILE,
    message: "there is no such file",
  },
  {
    ...MNIST,
    what: "an empty file",
    files: { [IMAGES]: "" },
    message: "it is empty, expected MNIST's train split",
  },
  {
    ...MNIST,
    what: "a file cut short",
    files: { [IMAGES]: TWO_IMAGES.subarray(0, 1000), [LABELS]: TWO_LABELS },
    message: "shape [2, 28, 28] needs 1584 bytes, and the file has 1000",
  },
  {
    ...MNIST,
    what: "a wrong size",
    files: { [IMAGES]: TWO_IMAGES, [LABELS]: TWO_LABELS },
    message: "2 images of 28 x 28 and 2 labels, expected 60000 of 28 x 28",
  },
  {
    ...MNIST,
    what: "labels in the images' place",
    files: { [IMAGES]: TWO_LABELS, [LABELS]: TWO_LABELS },
    message: "elements are Uint8Array of shape [2]",
  },
  {
    ...MNIST,
    what: "a label out of range",
    files: { [IMAGES]: TWO_IMAGES, [LABELS]: idx([2], Uint8Array.of(3, 10)) },
    message: "label 1 is 10, expected 0 to 9",
  },
  {
    ...MNIST,
    what: "one class only, in files of the right size",
    files: {
      [IMAGES]: idx([60_000, 28, 28], new Uint8Array(60_000 * 784)),
      [LABELS]: idx([60_000], new Uint8Array(60_000)),
    },
    message: `Cannot load "${IMAGES}": 47040016 bytes with MD5`,
  },

  { ...CIFAR10, what: "no file", files: {}, kind: NO_FILE, message: "there is no such file" },
  {
    ...CIFAR10,
    what: "an empty file",
    files: { "test_lables.json": "" },
    message: "it is empty, expected CIFAR-10's test split",
  },
  {
    ...CIFAR10,
    what: "labels that are not JSON",
    files: { "test_lables.json": "[1, 2" },
    message: "it is not JSON",
  },
  {
    ...CIFAR10,
    what: "a wrong size",
    files: { "test_lables.json": "[1, 2]" },
    message: "it is an array of 2, expected an array of 10000",
  },
  {
    ...CIFAR10,
    what: "a label out of range",
    files: { "test_lables.json": TEN_THOUSAND_LABELS.replace("[0,", "[10,") },
    message: "label 0 is 10, expected 0 to 9",
  },
  {
    ...CIFAR10,
    what: "images of a wrong size",
    files: {
      "test_lables.json": TEN_THOUSAND_LABELS,
      "test_batch.png": encodePng(32, 2, 2, new Uint8Array(192)),
    },
    kind: RangeError,
    message: 'Cannot use "test_batch.png": the image is 32 x 2, expected 1024 x 10000, RGB',
  },
  {
    ...CIFAR10,
    what: "images that are no PNG",
    files: { "test_lables.json": TEN_THOUSAND_LABELS, "test_batch.png": GZIP },
    message: "it is packed with gzip: unpack it first",
  },

  {
    ...TEXT,
    tasks: ["text", "shakespeare"],
    what: "an empty file",
    files: { data: "" },
    message: "it is empty, expected",
  },
  {
    ...TEXT,
    tasks: ["text", "shakespeare"],
    what: "a folder",
    files: {},
    kind: TypeError,
    message: "it is a folder, expected a file of",
  },
  {
    ...TEXT,
    what: "bytes that are not UTF-8",
    files: { data: Uint8Array.of(0x61, 0xff, 0x62) },
    message: "byte 1 is 0xff, which is not UTF-8 there",
  },
  {
    ...TEXT,
    what: "one character",
    files: { data: "a".repeat(900) },
    message: 'its only character is "a"',
  },
  {
    ...TEXT,
    what: "one character in what trains",
    files: { data: "a".repeat(900) + "b".repeat(100) },
    message: "its first 90% are 900 times the same token",
  },
  {
    ...TEXT,
    what: "less than a window",
    files: { data: "abcdefghij".repeat(20) },
    kind: RangeError,
    message: "it has 180 ids, and at least 257 are needed",
  },
  {
    ...TEXT,
    what: "a tokenizer that is not JSON",
    files: { data: LONG_TEXT },
    tokenizer: "hello",
    message: "Cannot read the tokenizer",
  },
  {
    ...TEXT,
    what: "a tokenizer that is not text",
    files: { data: LONG_TEXT },
    tokenizer: GZIP,
    message: "it is packed with gzip: unpack it first",
  },
  {
    ...TEXT,
    what: "an empty tokenizer",
    files: { data: LONG_TEXT },
    tokenizer: "",
    message: "it is empty, expected a tokenizer.json",
  },
  {
    ...TEXT,
    what: "JSON that is no tokenizer",
    files: { data: LONG_TEXT },
    tokenizer: "[]",
    kind: TypeError,
    message: "it is not a JSON object",
  },
  {
    ...TEXT,
    what: "a tokenizer of another alphabet",
    files: { data: LONG_TEXT },
    tokenizer: '{"model": {"type": "BPE", "vocab": {"x": 0, "y": 1}, "merges": []}}',
    message: "has no token for any of it",
  },

  {
    ...SHAKESPEARE,
    what: "another text",
    files: { data: LONG_TEXT },
    message: "expected tiny Shakespeare's",
  },
  {
    ...SHAKESPEARE,
    what: "bytes that are not UTF-8",
    files: { data: Uint8Array.of(0x61, 0xff, 0x62) },
    message: "3 bytes with MD5",
  },

  {
    ...UCR,
    what: "no training file",
    files: { "a.txt": SERIES },
    kind: RangeError,
    message: "0 of its files have TRAIN",
  },
  {
    ...UCR,
    what: "no file to test with",
    files: { "A_TRAIN.txt": SERIES },
    kind: NO_FILE,
    message: "there is no such file, expected series",
  },
  {
    ...UCR,
    what: "an empty file",
    files: { "A_TRAIN.txt": "", "A_TEST.txt": SERIES },
    message: "it is empty, expected series",
  },
  {
    ...UCR,
    what: "blank lines alone",
    files: { "A_TRAIN.txt": "\n\n", "A_TEST.txt": SERIES },
    message: "it holds no series",
  },
  {
    ...UCR,
    what: "an empty file to test with",
    files: { "A_TRAIN.txt": SERIES, "A_TEST.txt": "" },
    message: "A_TEST.txt",
  },
  {
    ...UCR,
    what: "a value that is no number",
    files: { "A_TRAIN.txt": "1 1 2\n2 NaN 4\n", "A_TEST.txt": SERIES },
    message: 'value 1 of line 2 is "NaN", expected a finite number',
  },
  {
    ...UCR,
    what: "a value beyond f32",
    files: { "A_TRAIN.txt": SERIES, "A_TEST.txt": "1 1 2\n2 1e39 4\n" },
    message: 'value 1 of line 2 is "1e39", expected a finite number',
  },
  {
    ...UCR,
    what: "a blank value",
    files: { "A_TRAIN.txt": "1,1,2\n2,,4\n", "A_TEST.txt": SERIES },
    message: "value 1 of line 2 is missing",
  },
  {
    ...UCR,
    what: "lines of different lengths",
    files: { "A_TRAIN.txt": "1 1 2\n2 4\n", "A_TEST.txt": SERIES },
    message: "line 2 has 1 values after its class, expected 2 as in line 1",
  },
  {
    ...UCR,
    what: "files of different lengths",
    files: { "A_TRAIN.txt": SERIES, "A_TEST.txt": "1 1 2 3\n" },
    message: "its series have 3 values",
  },
  {
    ...UCR,
    what: "one class",
    files: { "A_TRAIN.txt": "1 1 2\n1 4 5\n", "A_TEST.txt": SERIES },
    message: 'all 2 series are of class "1", expected two classes or more',
  },
  {
    ...UCR,
    what: "a class that training does not know",
    files: { "A_TRAIN.txt": SERIES, "A_TEST.txt": "3 1 2\n" },
    message: 'line 1 is of class "3", expected 1, 2',
  },
  {
    ...UCR,
    what: "a missing class",
    files: { "A_TRAIN.txt": "1 1 2\n? 3 4\n", "A_TEST.txt": SERIES },
    message: 'line 2 is of no class: "?"',
  },
  {
    ...UCR,
    what: "bytes that are not UTF-8",
    files: { "A_TRAIN.txt": Uint8Array.of(0x31, 0x20, 0xff), "A_TEST.txt": SERIES },
    message: "byte 2 is 0xff, which is not UTF-8 there",
  },
  {
    ...UCR,
    what: "values that are all the same",
    files: { "A_TRAIN.txt": "1 2 2\n2 2 2\n", "A_TEST.txt": SERIES },
    kind: RangeError,
    message: "the standard deviation of its values is 0",
  },

  {
    ...MNIST1D,
    what: "a folder",
    files: {},
    kind: TypeError,
    message: "it is a folder, expected a file of MNIST-1D's pickle",
  },
  { ...MNIST1D, what: "an empty file", files: { data: "" }, message: "it is empty, expected" },
  { ...MNIST1D, what: "no pickle", files: { data: "1 2 3" }, message: "Cannot read" },
  {
    ...MNIST1D,
    what: "another pickle",
    files: { data: EMPTY_DICT },
    message: 'as MNIST-1D: "x" is no array',
  },
  {
    ...MNIST1D,
    what: "a pickle cut short",
    files: { data: EMPTY_DICT.subarray(0, 3) },
    message: "at byte 3",
  },

  { ...AUDIO, what: "no recordings", files: { "a.txt": "x" }, message: "ends in .wav" },
  { ...AUDIO, what: "a text", files: { data: "x" }, message: "neither a folder nor a TAR" },
  { ...AUDIO, what: "a packed archive", files: { data: GZIP }, message: "packed with gzip" },
  {
    ...AUDIO,
    what: "a damaged archive",
    files: { data: tarFile([{ path: "1_0.wav", bytes: WAV }]).subarray(0, 530) },
    message: "the archive is cut short",
  },
  {
    ...AUDIO,
    what: "no WAV file",
    files: { "1_0.wav": "sound", "2_5.wav": WAV },
    message: 'Cannot read "1_0.wav" as WAV',
  },
  {
    ...AUDIO,
    what: "one class",
    files: { "1_0.wav": WAV, "1_5.wav": WAV },
    message: 'all recordings are of class "1"',
  },
  {
    ...AUDIO,
    what: "no recordings to test with",
    files: { "1_6.wav": WAV, "2_5.wav": WAV },
    message: "of 2 recordings none match",
  },
];

async function withFiles(
  { files, tokenizer }: BadData,
  test: (paths: { data: string; tokenizer?: string; out: string }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const write = async (name: string, content: string | Uint8Array) => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(`${folder}/${name}`, bytes);
  };
  try {
    await Deno.mkdir(`${folder}/files`);
    for (const [name, content] of Object.entries(files)) await write(`files/${name}`, content);
    if (tokenizer !== undefined) await write("tokenizer.json", tokenizer);
    await test({
      data: "data" in files ? `${folder}/files/data` : `${folder}/files`,
      ...(tokenizer === undefined ? {} : { tokenizer: `${folder}/tokenizer.json` }),
      out: `${folder}/out`,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const name of TASK_NAMES) {
  const cases = CASES.filter(({ tasks }) => tasks.includes(name));
  Deno.test(`loadTask("${name}") and train.ts refuse bad data in one line, before anything is written`, async () => {
    assert(cases.length > 0);
    for (const bad of cases) {
      await withFiles(bad, async ({ data, tokenizer, out }) => {
        const options = { data, ...(tokenizer === undefined ? {} : { tokenizer }) };
        await assertRejects(() => loadTask(name, options), bad.kind, bad.message, bad.what);
        const terminal = new FakeTerminal();
        // The command's own choice on the CPU is another than loadTask()'s.
        const [preset] = TASK_PRESETS.get(name) ?? [];
        const named = preset === undefined ? {} : { preset: preset.name };
        const paths = Object.entries({ ...options, ...named })
          .flatMap(([option, value]) => [`--${option}`, value]);
        assertEquals(await trainCommand([name, ...paths, "--out", out], terminal), 1, bad.what);
        assertEquals(terminal.stdout, "");
        const lines = terminal.stderr.trimEnd().split("\n");
        assertEquals(lines.length, 1, terminal.stderr);
        assert(lines[0]?.startsWith("Cannot ") && lines[0].includes(bad.message), lines[0]);
        await assertRejects(() => Deno.stat(out), Deno.errors.NotFound);
      });
    }
  });
}

Deno.test('loadTask("text") takes characters that only what validates has', async () => {
  const bad = { ...TEXT, what: "", files: { data: `${LONG_TEXT}${"zq".repeat(40)}` }, message: "" };
  await withFiles(bad, async ({ data }) => {
    const { config, validation } = await loadTask("text", {
      data,
      hyperparameters: { seqlen: 8, batchSize: 2 },
    });
    const { targets } = validation.batch({ epoch: 0, index: validation.batchSize * 3 });
    const rows = config.input.kind === "embedding" ? config.input.vocab_size : 0;
    assertEquals(rows, new Set(`${LONG_TEXT}zq`).size);
    assert(targets.some((id) => id === rows - 1) && targets.every((id) => id < rows));
  });
});
