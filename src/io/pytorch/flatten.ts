import { numpyScalar } from "./pickle_numpy.ts";
import { PickleDict, PickleObject, PickleTuple, type PickleValue } from "./pickle_values.ts";
import {
  describeTensor,
  type Fail,
  type PyTorchTensor,
  type StorageSize,
  tensorCall,
} from "./tensor.ts";
import { quote } from "../quote.ts";

/** What a checkpoint holds, by dotted name. */
export interface CheckpointContents {
  /** Every tensor. */
  readonly tensors: Map<string, PyTorchTensor>;
  /** Every number, boolean and text that is the value of a named member. */
  readonly metadata: Map<string, string>;
}

/** State dicts are two or three deep; whole pickled modules perhaps twenty. */
const MAX_DEPTH = 64;
/** A value may be reached in many ways: 30 dicts, each twice in the one before, in a billion. */
const MAX_VISITS = 500_000;
/** Above any model, and few enough to hold even where each has all dimensions allowed. */
const MAX_TENSORS = 100_000;
/** What all names together may come to. */
const MAX_NAME_CHARACTERS = 32 * 1024 * 1024;
/** Longer text is not a setting. */
const MAX_METADATA_CHARACTERS = 64 * 1024;

/**
 * Finds the tensors and the plain values in what `torch.save` was given.
 *
 * @param root The unpickled value.
 * @param storageSize Sizes of the archive's storages.
 * @param fail Makes the error from what was found.
 * @returns Tensors and values by dotted name.
 */
export function flattenCheckpoint(
  root: PickleValue,
  storageSize: StorageSize,
  fail: Fail,
): CheckpointContents {
  const walker = new Walker(storageSize, fail);
  walker.walk(root, "");
  return walker.contents;
}

class Walker {
  readonly contents: CheckpointContents = { tensors: new Map(), metadata: new Map() };
  readonly #storageSize: StorageSize;
  readonly #fail: Fail;
  /** The values being walked, outermost first: one that comes again contains itself. */
  readonly #open = new Set<PickleValue>();
  #visits = 0;
  #nameCharacters = 0;

  constructor(storageSize: StorageSize, fail: Fail) {
    this.#storageSize = storageSize;
    this.#fail = fail;
  }

  walk(value: PickleValue, name: string): void {
    if (++this.#visits > MAX_VISITS) throw this.#fail(`it has more than ${MAX_VISITS} members`);
    if (typeof value !== "object" || value === null) return this.#addMetadata(value, name);
    if (value instanceof Uint8Array || this.#open.has(value)) return;
    if (this.#open.size === MAX_DEPTH) {
      throw this.#fail(`it is nested deeper than ${MAX_DEPTH} at ${quote(name)}`);
    }
    this.#open.add(value);
    this.#walkObject(value, name);
    this.#open.delete(value);
  }

  #walkObject(value: PickleValue & object, name: string): void {
    const scalar = numpyScalar(value);
    if (scalar !== undefined) return this.#addMetadata(scalar, name);
    const fail: Fail = (found) => this.#fail(`tensor ${quote(name)} ${found}`);
    const call = tensorCall(value, fail);
    if (call !== undefined) {
      if (this.contents.tensors.has(name)) throw fail("is there twice");
      if (this.contents.tensors.size === MAX_TENSORS) {
        throw this.#fail(`it has more than ${MAX_TENSORS} tensors`);
      }
      this.contents.tensors.set(name, describeTensor(name, call, this.#storageSize, fail));
    } else if (Array.isArray(value)) this.#walkItems(value, name);
    else if (value instanceof PickleTuple) this.#walkItems(value.items, name);
    else if (value instanceof PickleDict) this.#walkEntries(value.entries, name);
    else if (value instanceof PickleObject) {
      if (value.entries) this.#walkEntries(value.entries, name);
      this.#walkItems(value.items, name);
      if (value.state instanceof PickleDict) this.#walkAttributes(value.state, name);
    }
  }

  /** A pickled nn.Module keeps its tensors in three dicts that its state dict does not name. */
  #walkAttributes(state: PickleDict, name: string): void {
    const isModule = state.entries.has("_parameters") && state.entries.has("_modules");
    for (const [key, value] of state.entries) {
      if (isModule && (key === "_parameters" || key === "_buffers" || key === "_modules")) {
        this.walk(value, name);
      } else if (isModule && typeof key === "string" && key.startsWith("_")) {
        // Hooks and other belongings of PyTorch itself.
      } else this.#walkMember(key, value, name);
    }
  }

  #walkEntries(entries: ReadonlyMap<PickleValue, PickleValue>, name: string): void {
    for (const [key, value] of entries) this.#walkMember(key, value, name);
  }

  #walkItems(items: readonly PickleValue[], name: string): void {
    items.forEach((item, index) => {
      // Lists of plain values are an optimizer's, by the thousand, and nobody asks for them.
      if (typeof item === "object" && item !== null) this.#walkMember(index, item, name);
    });
  }

  #walkMember(key: PickleValue, value: PickleValue, parent: string): void {
    if (typeof key !== "string" && typeof key !== "number" && typeof key !== "bigint") return;
    const name = parent === "" ? String(key) : `${parent}.${key}`;
    this.#spend(name.length);
    this.walk(value, name);
  }

  #spend(characters: number): void {
    this.#nameCharacters += characters;
    if (this.#nameCharacters > MAX_NAME_CHARACTERS) {
      throw this.#fail(`its names have more than ${MAX_NAME_CHARACTERS} characters`);
    }
  }

  #addMetadata(value: null | string | number | bigint | boolean, name: string): void {
    if (value === null || name === "") return;
    const text = String(value);
    if (typeof value !== "string") this.#spend(text.length);
    if (text.length <= MAX_METADATA_CHARACTERS) this.contents.metadata.set(name, text);
  }
}
