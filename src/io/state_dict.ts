/** Where a model's own tensors are in a file that may hold other things: trainers wrap models, and save more than them. */

import { quote } from "./quote.ts";
import type { TensorFile, TensorInfo } from "./tensor_file.ts";

/**
 * What wrappers of PyTorch put into names, at any depth: data parallel, `torch.compile`, Lightning's strategies, FSDP
 * and activation checkpoints. No tensor of a model has them in its own name.
 */
const WRAPPERS =
  /(?<=^|\.)(?:module|_orig_mod|_forward_module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\./g;

/**
 * A file as if nothing had wrapped its model: names without what wrappers add.
 *
 * Where two tensors would get one name, all keep what they have.
 *
 * @param file The file; the result takes it over.
 * @returns The file itself where there is nothing to leave out.
 */
export function unwrapped(file: TensorFile): TensorFile {
  const originals = new Map<string, string>();
  for (const name of file.tensors.keys()) originals.set(name.replaceAll(WRAPPERS, ""), name);
  const isWrapped = [...originals].some(([name, original]) => name !== original);
  if (!isWrapped || originals.size !== file.tensors.size) return file;
  const tensors = new Map<string, TensorInfo>();
  for (const [name, original] of originals) {
    const info = file.tensors.get(original);
    if (info === undefined) continue;
    const { dtype, shape, sizeBytes } = info;
    tensors.set(name, { name, dtype, shape, sizeBytes });
  }
  return {
    name: file.name,
    tensors,
    metadata: file.metadata,
    read: (name, start, end) => file.read(originals.get(name) ?? name, start, end),
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/** A tensor of a block, and what comes before the model's own name of it. A model saved without a head has no "backbone.". */
const BLOCK_NAME = /^(.*?)(?:backbone\.)?layers\.\d+\.(?:norm|mixer)\./;

/** What else trainers save: averages of the same weights among them. */
const TRAINER_NAME = /(?:^|[._])(?:optim|lr_sched|sched|scaler|ema|swa|rng|amp|train)\w*\./;

/** Dicts that hold the model in files with other things, the likeliest first. */
const DICTS = ["model_state_dict.", "state_dict.", "model."];

/**
 * The prefix of the names that belong to the model, where a checkpoint holds other things beside it.
 *
 * @param file Any file of tensors.
 * @returns Such as "model_state_dict.", "state_dict.net." or "model.", or "" where all of the file is the model.
 * @throws {TypeError} If there are several models, and nothing tells which is meant.
 */
export function stateDictPrefix(file: Pick<TensorFile, "name" | "tensors">): string {
  const names = [...file.tensors.keys()];
  const found = new Set(names.flatMap((name) => BLOCK_NAME.exec(name)?.[1] ?? []));
  const own = [...found].filter((prefix) => !TRAINER_NAME.test(prefix));
  const candidates = own.length > 0 ? own : [...found];
  const dict = DICTS.find((dict) => candidates.some((prefix) => prefix.startsWith(dict)));
  const likeliest = candidates.includes("")
    ? [""]
    : candidates.filter((prefix) => prefix.startsWith(dict ?? ""));
  const [first, second] = likeliest;
  if (first !== undefined && second !== undefined) {
    throw new TypeError(
      `Cannot tell which tensors of ${quote(file.name)} are the model's: ${quote(first)} and ` +
        `${quote(second)} begin the names of one each. Save the one that is meant by itself`,
    );
  }
  return first ?? dictPrefix(names);
}

/** The same where no tensor is a block's. */
function dictPrefix(names: readonly string[]): string {
  for (const prefix of ["model_state_dict.", "state_dict."]) {
    if (names.some((name) => name.startsWith(prefix))) return prefix;
  }
  // "model." is also how many models begin the names of their own blocks: it is a dict of its own
  // only where nothing but a trainer's belongings is beside it.
  const others = names.filter((name) => !name.startsWith("model."));
  const isDict = others.length < names.length && others.every((name) => TRAINER_NAME.test(name));
  return isDict ? "model." : "";
}
