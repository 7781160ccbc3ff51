import type { ByteSource } from "../byte_source.ts";
import { dtypeSizeBytes } from "../dtype.ts";
import { unpickle } from "./pickle.ts";
import { foreignBinary, TOLD_BY_BYTES } from "../foreign_file.ts";
import { type CheckpointContents, flattenCheckpoint } from "./flatten.ts";
import { PyTorchFileError } from "./error.ts";
import type { PyTorchTensor } from "./tensor.ts";
import { quote } from "../quote.ts";
import { gather, isContiguous } from "./strided.ts";
import { resolveTensorRange, type TensorFile, type TensorInfo } from "../tensor_file.ts";
import { openZip, type ZipArchive } from "./zip.ts";

export { PyTorchFileError } from "./error.ts";

/** What the pickled integer 0x1950a86a20f9469cfc6c looks like at the start of the old form. */
const LEGACY_MAGIC = [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50];
const CONVERT =
  "in Python, write it again with torch.save(torch.load(path), path) or as safetensors";

/**
 * Opens what `torch.save` writes: `pytorch_model.bin`, `.pth` or `.pt`.
 *
 * Nothing of the file is run: its pickle is read as plain data. Nested dicts become names with dots
 * ("model_state_dict.norm.weight"); numbers, booleans and text on the way become metadata under
 * their own dotted names; any other object is passed over, save for its attributes.
 *
 * A tensor that is not contiguous in its storage is put together when read, for which the part of
 * the storage that it spans is held in memory. A contiguous one is read as it is.
 *
 * @param source The bytes. The file takes it over: disposing the file disposes it, and so does failing.
 * @returns The tensors, and what else could be read.
 * @throws {PyTorchFileError} If the file is malformed or of the form before PyTorch 1.6.
 * @throws {ZipError} If the archive around it is malformed.
 * @throws {PickleError} If the pickle inside is malformed.
 */
export async function openPyTorchZip(source: ByteSource): Promise<TensorFile> {
  try {
    const fail = (found: string, cause?: unknown) =>
      new PyTorchFileError(`Cannot read ${quote(source.name)}: ${found}`, { cause });
    await refuseOtherForms(source, fail);
    const archive = await openZip(source);
    const prefix = findPrefix(archive, fail);
    const byteorder = archive.entries.get(`${prefix}byteorder`);
    if (byteorder !== undefined) {
      const length = Math.min(byteorder.sizeBytes, 16);
      const order = new TextDecoder().decode(await archive.read(byteorder.name, 0, length));
      if (order.trim() !== "little") {
        throw fail(`its byte order is ${quote(order)}, and only "little" is read: ${CONVERT}`);
      }
    }
    const pickleName = `${prefix}data.pkl`;
    const pickleBytes = archive.entries.get(pickleName)?.sizeBytes ?? 0;
    if (pickleBytes > MAX_PICKLE_BYTES) {
      throw fail(
        `its data.pkl has ${pickleBytes} bytes, and at most ${MAX_PICKLE_BYTES} are allowed`,
      );
    }
    const pickle = await archive.read(pickleName, 0, pickleBytes);
    const contents = flattenCheckpoint(
      unpickle(pickle, `${source.name}/${pickleName}`),
      (key) => archive.entries.get(`${prefix}data/${key}`)?.sizeBytes,
      fail,
    );
    return new PyTorchZipFile(source, archive, prefix, contents);
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

/** It only names tensors; their bytes are beside it. */
const MAX_PICKLE_BYTES = 64 * 1024 * 1024;

async function refuseOtherForms(source: ByteSource, fail: (found: string) => Error): Promise<void> {
  const start = await source.read(0, Math.min(source.sizeBytes, TOLD_BY_BYTES));
  if (LEGACY_MAGIC.every((byte, i) => start[i] === byte)) {
    throw fail(
      `it is in the legacy form that torch.save wrote before PyTorch 1.6, and only the zip form is ` +
        `read: ${CONVERT}`,
    );
  }
  if (start[0] === 0x80 && (start[1] ?? 255) <= 5) {
    throw fail(`it is a bare pickle, and only the zip form of torch.save is read: ${CONVERT}`);
  }
  // After the header's length, in 8 bytes, comes the header.
  if (start[7] === 0 && start[8] === 0x7b) {
    throw fail("it is safetensors: give it a name that ends in .safetensors");
  }
  const foreign = foreignBinary(start);
  if (foreign !== undefined) throw fail(foreign);
}

/** The archive's name, which is the file's at the time when it was saved, comes before all others. */
function findPrefix(archive: ZipArchive, fail: (found: string) => Error): string {
  const names = [...archive.entries.keys()];
  const prefixes = names
    .filter((name) => name === "data.pkl" || name.endsWith("/data.pkl"))
    .map((name) => name.slice(0, -"data.pkl".length));
  const [prefix] = prefixes;
  if (prefix === undefined && names.some((name) => name.endsWith(".npy"))) {
    throw fail("it is an archive of NumPy arrays (.npz) without data.pkl, so not by torch.save");
  }
  if (prefix === undefined) {
    throw fail("it is a zip archive without data.pkl, so not by torch.save");
  }
  if (prefixes.length > 1) throw fail(`it has ${prefixes.length} files named data.pkl`);
  if (
    names.some((name) => name === `${prefix}constants.pkl` || name.startsWith(`${prefix}code/`))
  ) {
    throw fail(
      "it is a TorchScript archive (torch.jit.save), which holds a program beside the tensors: in Python, save them " +
        "with torch.save(torch.jit.load(path).state_dict(), path)",
    );
  }
  return prefix;
}

class PyTorchZipFile implements TensorFile {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #source: ByteSource;
  readonly #archive: ZipArchive;
  readonly #prefix: string;
  readonly #tensors: ReadonlyMap<string, PyTorchTensor>;

  constructor(
    source: ByteSource,
    archive: ZipArchive,
    prefix: string,
    contents: CheckpointContents,
  ) {
    this.name = source.name;
    this.tensors = contents.tensors;
    this.metadata = contents.metadata;
    this.#source = source;
    this.#archive = archive;
    this.#prefix = prefix;
    this.#tensors = contents.tensors;
  }

  async read(name: string, start = 0, end?: number): Promise<Uint8Array<ArrayBuffer>> {
    const range = resolveTensorRange(this, name, start, end);
    const tensor = this.#tensors.get(name);
    if (tensor === undefined || range.start === range.end) return new Uint8Array();
    const storage = `${this.#prefix}data/${tensor.storageKey}`;
    if (isContiguous(tensor)) {
      const begin = tensor.beginBytes + range.start;
      return await this.#archive.read(storage, begin, range.end - range.start);
    }
    const elementBytes = dtypeSizeBytes(tensor.dtype);
    const first = Math.floor(range.start / elementBytes);
    const last = Math.ceil(range.end / elementBytes);
    const bytes = await gather(
      tensor,
      elementBytes,
      first,
      last,
      (offset, length) =>
        this.#archive.read(
          storage,
          tensor.beginBytes + offset * elementBytes,
          length * elementBytes,
        ),
    );
    // A range may begin or end inside an element.
    const skipped = range.start - first * elementBytes;
    const length = range.end - range.start;
    return length === bytes.length ? bytes : bytes.slice(skipped, skipped + length);
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }
}
