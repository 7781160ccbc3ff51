import { assert, assertEquals } from "@std/assert";
import { release } from "../../src/engine/tensor_pieces.ts";
import { fromBytes } from "../../src/io/byte_source.ts";
import { PickleError } from "../../src/io/pytorch/pickle.ts";
import { openPyTorchZip, PyTorchFileError } from "../../src/io/pytorch/pytorch_zip.ts";
import { openSafetensors, SafetensorsError } from "../../src/io/safetensors/safetensors.ts";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import type { TensorFile } from "../../src/io/tensor_file.ts";
import { ZipError } from "../../src/io/pytorch/zip.ts";
import { ConfigError, parseConfig } from "../../src/model/config/config.ts";
import { Random } from "../../src/checks/random.ts";
import { joinBytes, le } from "./join_bytes.ts";
import { dict, integer, makePyTorchFile, pickle, tensor, text } from "./pytorch/pytorch_file.ts";

const MAX_GROWTH_BYTES = 200 * 1024 * 1024;

/** What a mutation came to: "value", or the name of one of our errors. Anything else is thrown on. */
type Outcome = string;

/** Damages some bytes. */
type Change = (bytes: Uint8Array) => Uint8Array;

type Mutator = (bytes: Uint8Array, random: Random) => Uint8Array;

interface Format {
  name: string;
  /** Each makes a file, well-formed if `change` changes nothing. */
  sources: ((change: Change) => Uint8Array)[];
  mutations: number;
  /** Our errors, the only ones that may come out. */
  errors: (new (message: string) => Error)[];
  /** Changes beyond those made to any bytes. */
  mutators?: Mutator[];
  read: (bytes: Uint8Array) => Promise<void>;
}

const small = encodeSafetensors(
  [
    { name: "a", dtype: "F32", shape: [2, 3], bytes: new Uint8Array(24) },
    { name: "b.c", dtype: "BF16", shape: [4], bytes: new Uint8Array(8) },
    { name: "d", dtype: "I64", shape: [], bytes: new Uint8Array(8) },
  ],
  { format: "pt", note: "é\n" },
);
const large = await golden("mamba1-odd-f16/model.safetensors", 4096);

const contents = pickle(dict({
  epoch: integer(3),
  model_state_dict: dict({
    "a.weight": tensor({ shape: [2, 3], strides: [3, 1] }),
    "b.weight": tensor({ shape: [3, 2], strides: [1, 3] }),
    "c.bias": tensor({ storageType: "HalfStorage", key: "1", count: 4, shape: [2], strides: [2] }),
  }),
  config: joinBytes("cmodels\nConfig\n)", 0x81, dict({ d_model: integer(1 << 20) }), "b"),
  history: joinBytes("](", "G", le(0, 8), text("é"), 0x88, "e"),
}));

const configs: Record<string, unknown>[] = await Promise.all(
  ["mamba1", "mamba1-raw", "mamba1-odd-raw", "classifier"].map(async (folder) => {
    const url = new URL(`../golden/${folder}/config.json`, import.meta.url);
    return JSON.parse(await Deno.readTextFile(url));
  }),
);

const PYTORCH: Format = {
  name: "PyTorch zip",
  sources: [
    (change) => change(checkpoint(contents)),
    (change) => change(checkpoint(contents, { zip64: true, comment: "x" })),
    // The archive around it stays whole, so that the damage reaches the pickle.
    (change) => checkpoint(change(contents)),
    (change) => checkpoint(change(contents)),
  ],
  mutations: 1900,
  errors: [PyTorchFileError, PickleError, ZipError],
  read: async (bytes) => {
    using file = await openPyTorchZip(fromBytes("m", bytes));
    await readAll(file);
  },
};

const FORMATS: Format[] = [
  {
    name: "safetensors",
    sources: [
      (change) => change(small),
      (change) => change(large),
      // The header's length stays right, so that the damage reaches its content.
      (change) => withHeader(small, change),
      (change) => withHeader(large, change),
    ],
    mutations: 1700,
    errors: [SafetensorsError],
    read: async (bytes) => {
      using file = await openSafetensors(fromBytes("m", bytes));
      await readAll(file);
    },
  },
  PYTORCH,
  {
    name: "config.json",
    sources: configs.flatMap((config) => [
      (change: Change) => change(joinBytes(JSON.stringify(config))),
      ...Object.keys(config).map((key) => (change: Change) => withValue(config, key, change)),
    ]),
    mutations: 1400,
    mutators: Array.from({ length: 12 }, () => replaceValue),
    // What is no longer JSON never reaches our code.
    errors: [ConfigError, SyntaxError],
    read: (bytes) =>
      Promise.try(() => void parseConfig(JSON.parse(new TextDecoder().decode(bytes)))),
  },
];

for (const format of FORMATS) {
  Deno.test(`${format.mutations} mutations of ${format.name} end in a value or in our errors`, async () => {
    const random = new Random(20_26);
    for (const source of format.sources) {
      assertEquals(await outcomeOf(format, source((bytes) => bytes)), "value");
    }
    const outcomes = new Map<Outcome, number>();
    const before = memory();
    let largest = 0;
    for (let i = 0; i < format.mutations; i++) {
      const source = format.sources[i % format.sources.length];
      const bytes = source?.((whole) => mutate(whole, random, format.mutators)) ?? new Uint8Array();
      let outcome: Outcome;
      try {
        outcome = await outcomeOf(format, bytes);
      } catch (cause) {
        const encoded = bytes.length < 20_000 ? bytes.toBase64() : `${bytes.length} bytes`;
        throw new Error(`mutation ${i} of ${format.name}: ${encoded}`, { cause });
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      largest = Math.max(largest, memory() - before);
    }
    assert(largest < MAX_GROWTH_BYTES, `${largest} bytes more than before`);
    // A mutator that breaks every file in the same way, or none, would test nothing.
    const values = outcomes.get("value") ?? 0;
    assert(values > 0 && values < format.mutations * 0.9, Deno.inspect(outcomes));
    assert(outcomes.size >= 2, Deno.inspect(outcomes));
  });
}

/** Files made to hurt; each must end like a mutation, without costing more. */
const HOSTILE: [string, () => Uint8Array][] = [
  ["a cycle of dicts", () => root("}q", 0, text("a"), "h", 0, "s")],
  [
    "a cycle through a tuple, a list and an object",
    () => root("]q", 0, "h", 0, 0x85, "cm\nC\nh", 0, 0x85, "R", "h", 0, 0x87, "a"),
  ],
  ["dicts that hold each other a billion times", () => {
    const level = joinBytes("}(", text("a"), "h", 0, text("b"), "h", 0, "uq", 0, "0");
    return root("}q", 0, "0", ...Array.from({ length: 40 }, () => level), "h", 0);
  }],
  ["names that double in length", () => {
    const key = text("x".repeat(100_000));
    const level = joinBytes("}(", key, "h", 0, text("b"), "h", 0, "uq", 0, "0");
    return root("}q", 0, "0", ...Array.from({ length: 40 }, () => level), "h", 0);
  }],
  [
    "a tensor of a terabyte in four bytes",
    () => root(dict({ w: tensor({ count: 6, shape: [1 << 20, 1 << 18], strides: [0, 0] }) })),
  ],
  ["twenty tensors that repeat their storage", () => {
    const big = tensor({ shape: [1 << 11, 1 << 11], strides: [0, 0] });
    return root(dict(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`w${i}`, big]))));
  }],
  ["os.system", () => root("cos\nsystem\n", text("exit 1"), 0x85, "R")],
  [
    "eval, through a nested global and a state",
    () =>
      root("cbuiltins\neval\n", text("1/0"), 0x85, "R}", text("__setstate__"), "cos\nabort\nsb"),
  ],
  ["a million empty dicts", () => root("(", new Uint8Array(999_900).fill(0x7d), "t")],
  ["as many one-member dicts as the limit on opcodes allows", () => {
    const dicts = new Uint8Array(998_000);
    for (let i = 0; i < dicts.length; i++) dicts[i] = [0x7d, 0x4e, 0x4e, 0x73][i % 4] ?? 0;
    return root("(", dicts, "t");
  }],
  ["half a million memo entries far apart", () => {
    const puts = new Uint8Array(499_000 * 5);
    for (let i = 0; i < 499_000; i++) puts.set(["r".charCodeAt(0), ...le(i * 8000, 4)], i * 5);
    return root("N", puts);
  }],
  ["a long integer", () => root("L", "9".repeat(1_000_000), "\n")],
  ["text without an end", () => root("X", le(0xffffffff, 4))],
];

for (const [name, make] of HOSTILE) {
  Deno.test(`openPyTorchZip() survives ${name}`, async () => {
    const bytes = make();
    const before = memory();
    await outcomeOf(PYTORCH, bytes);
    assert(memory() - before < MAX_GROWTH_BYTES, `${memory() - before} bytes more than before`);
  });
}

function root(...opcodes: Parameters<typeof pickle>): Uint8Array {
  return makePyTorchFile(pickle(...opcodes), { 0: new Uint8Array(24) });
}

function checkpoint(
  dataPickle: Uint8Array,
  options: Parameters<typeof makePyTorchFile>[2] = {},
): Uint8Array {
  return makePyTorchFile(dataPickle, { 0: new Uint8Array(24), 1: new Uint8Array(8) }, options);
}

/** A safetensors file with its header changed, and its header's length right. */
function withHeader(file: Uint8Array, change: Change): Uint8Array {
  const end = 8 + new DataView(file.buffer).getUint32(0, true);
  const header = change(file.slice(8, end));
  return joinBytes(le(header.length, 8), header, file.subarray(end));
}

/** A config with the text of one value changed. */
function withValue(config: Record<string, unknown>, key: string, change: Change): Uint8Array {
  const members = Object.entries(config).map(([name, value]) => {
    const text = joinBytes(JSON.stringify(value));
    return joinBytes(JSON.stringify(name), ":", name === key ? change(text) : text, ",");
  });
  return joinBytes("{", ...members, '"end":0}');
}

/** A golden file with its data cut to nothing but its header's worth, so that mutations hit the header. */
async function golden(path: string, limit: number): Promise<Uint8Array> {
  const bytes = await Deno.readFile(new URL(`../golden/${path}`, import.meta.url));
  using file = await openSafetensors(fromBytes(path, bytes));
  const tensors = [];
  let sizeBytes = 0;
  for (const { name, dtype, shape, sizeBytes: size } of file.tensors.values()) {
    if ((sizeBytes += size) > limit) continue;
    tensors.push({ name, dtype, shape, bytes: await file.read(name) });
  }
  return encodeSafetensors(tensors, file.metadata);
}

/** Reads every tensor, and gives its memory back as whoever loads one does: garbage is collected when it likes. */
async function readAll(file: TensorFile): Promise<void> {
  for (const { name, sizeBytes } of file.tensors.values()) {
    const bytes = await file.read(name);
    assertEquals(bytes.length, sizeBytes);
    release(bytes);
  }
}

async function outcomeOf(format: Format, bytes: Uint8Array): Promise<Outcome> {
  try {
    await format.read(bytes);
    return "value";
  } catch (error) {
    // The class itself and nothing derived: a stray SyntaxError is not ours.
    const ours = format.errors.find((kind) => error instanceof Error && error.constructor === kind);
    if (ours === undefined) throw error;
    return ours.name;
  }
}

/** This test file's own memory: the process's rss holds that of the files that run beside it, too. */
function memory(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** One or two changes of the kinds that damage and malice make. */
function mutate(seed: Uint8Array, random: Random, extra: readonly Mutator[] = []): Uint8Array {
  const mutators = [...MUTATORS, ...extra];
  let bytes: Uint8Array = seed.slice();
  const changes = 1 + below(random, 2);
  for (let i = 0; i < changes && bytes.length > 0; i++) {
    bytes = mutators[below(random, mutators.length)]?.(bytes, random) ?? bytes;
  }
  return bytes;
}

const VALUES = [
  ...["-1", "0", "1", "0.5", "1e300", "-0", "16", "1e9", "9007199254740993", "null", "true", '""'],
  ...['"auto"', '"mamba2"', "[]", "[1]", "[[[[]]]]", "{}", '{"kind":"linear"}', '{"__proto__":1}'],
];

/** Puts another JSON value in place of a whole one. */
function replaceValue(_bytes: Uint8Array, random: Random): Uint8Array {
  return joinBytes(VALUES[below(random, VALUES.length)] ?? "null");
}

const LENGTHS = [
  0,
  1,
  -1,
  0x7f,
  0x80,
  0xff,
  0xffff,
  0x7fffffff,
  0x80000000,
  2 ** 40,
  2 ** 53,
  2 ** 62,
];

const MUTATORS: Mutator[] = [
  function flipBit(bytes, random) {
    const at = below(random, bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8));
    return bytes;
  },
  function setByte(bytes, random) {
    bytes[below(random, bytes.length)] = below(random, 256);
    return bytes;
  },
  function truncate(bytes, random) {
    return bytes.slice(0, below(random, bytes.length));
  },
  function cut(bytes, random) {
    const [start, end] = range(bytes, random);
    return joinBytes(bytes.subarray(0, start), bytes.subarray(end));
  },
  function duplicate(bytes, random) {
    const [start, end] = range(bytes, random);
    return joinBytes(bytes.subarray(0, end), bytes.subarray(start));
  },
  function splice(bytes, random) {
    const [start, end] = range(bytes, random);
    bytes.copyWithin(below(random, bytes.length), start, end);
    return bytes;
  },
  function inflateLength(bytes, random) {
    const length = le(
      LENGTHS[below(random, LENGTHS.length)] ?? 0,
      [2, 4, 8][below(random, 3)] ?? 4,
    );
    bytes.set(
      length.slice(0, bytes.length),
      below(random, Math.max(1, bytes.length - length.length)),
    );
    return bytes;
  },
  function changeDigits(bytes, random) {
    const start = below(random, bytes.length);
    const at = bytes.findIndex((byte, i) => i >= start && byte >= 0x30 && byte <= 0x39);
    if (at < 0) return bytes;
    const numbers = ["-1", "1e9", "0", "9007199254740993", "0.5", "null", '"1"', "[]", "99999999"];
    return joinBytes(
      bytes.subarray(0, at),
      numbers[below(random, numbers.length)] ?? "",
      bytes.subarray(at + 1),
    );
  },
  function zero(bytes, random) {
    return bytes.fill(0, ...range(bytes, random));
  },
];

function range(bytes: Uint8Array, random: Random): [number, number] {
  const start = below(random, bytes.length);
  return [start, Math.min(bytes.length, start + 1 + below(random, 64))];
}

function below(random: Random, limit: number): number {
  return Math.floor(random.next() * limit);
}
