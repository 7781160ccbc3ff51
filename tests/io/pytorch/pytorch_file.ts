import { type BytePart, joinBytes, le } from "../join_bytes.ts";
import { makeZip, type ZipFile, type ZipOptions } from "./zip_file.ts";

/** A tensor as `_rebuild_tensor_v2` is given it. */
export interface FakeTensor {
  storageType?: string;
  key?: string;
  /** Elements of the storage; default `bytes` in 4-byte elements. */
  count?: number;
  offset?: number;
  shape: readonly number[];
  strides: readonly number[];
}

/** The opcodes that push text. */
export function text(value: string): Uint8Array {
  const bytes = joinBytes(value);
  return joinBytes("X", le(bytes.length, 4), bytes);
}

/** The opcodes that push a whole number. */
export function integer(value: number): Uint8Array {
  return value >= 0 && value < 256
    ? joinBytes("K", value)
    : joinBytes(0x8a, 8, le(BigInt(value), 8));
}

/** The opcodes that push a tuple of whole numbers. */
export function tuple(values: readonly number[]): Uint8Array {
  return joinBytes("(", ...values.map(integer), "t");
}

/** The opcodes that push a tensor. */
export function tensor(fake: FakeTensor): Uint8Array {
  const { storageType = "FloatStorage", key = "0", count = 6, offset = 0, shape, strides } = fake;
  return joinBytes(
    "ctorch._utils\n_rebuild_tensor_v2\n((",
    joinBytes(text("storage"), `ctorch\n${storageType}\n`, text(key), text("cpu"), integer(count)),
    joinBytes("tQ", integer(offset), tuple(shape), tuple(strides)),
    0x89,
    "ccollections\nOrderedDict\n)RtR",
  );
}

/** A protocol 2 pickle of a dict with these members. */
export function dict(members: Record<string, BytePart>): Uint8Array {
  const pairs = Object.entries(members).map(([key, value]) => joinBytes(text(key), value));
  return joinBytes("}(", ...pairs, "u");
}

/** A protocol 2 pickle of what the opcodes push. */
export function pickle(...opcodes: BytePart[]): Uint8Array<ArrayBuffer> {
  return joinBytes([0x80, 2], ...opcodes, ".");
}

/** An archive as `torch.save` lays it out. */
export function makePyTorchFile(
  dataPickle: Uint8Array,
  storages: Record<string, Uint8Array> = {},
  options: ZipOptions & { prefix?: string; byteorder?: string } = {},
): Uint8Array<ArrayBuffer> {
  const { prefix = "archive/", byteorder = "little" } = options;
  const files: ZipFile[] = [
    { name: `${prefix}data.pkl`, bytes: dataPickle },
    { name: `${prefix}byteorder`, bytes: joinBytes(byteorder) },
    ...Object.entries(storages).map(([key, bytes]) => ({ name: `${prefix}data/${key}`, bytes })),
    { name: `${prefix}version`, bytes: joinBytes("3\n") },
  ];
  return makeZip(files, options);
}
