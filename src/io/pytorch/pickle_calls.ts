import {
  PickleDict,
  PickleGlobal,
  PickleObject,
  PickleSet,
  PickleTuple,
  type PickleValue,
} from "./pickle_values.ts";

/** What {@linkcode makePlain} needs of the machine that calls it. */
export interface PickleBudget {
  /** The error for what was found at the current place. */
  fail(found: string): Error;
  /** Counts elements that are about to be copied. */
  spend(count: number): void;
  /** Counts bytes that are about to be made. */
  spendText(length: number): void;
}

/**
 * Carries out the calls that make plain data, and records any other.
 *
 * This is the whole allow-list. Nothing here depends on anything but the arguments.
 *
 * @param callee What the pickle would call.
 * @param args The arguments.
 * @param budget Where the cost is counted.
 * @returns The data, or a {@linkcode PickleObject}.
 */
export function makePlain(
  callee: PickleValue,
  args: PickleTuple,
  budget: PickleBudget,
): PickleValue {
  if (!(callee instanceof PickleGlobal)) return new PickleObject(callee, args);
  const [first, second] = args.items;
  const items = first === undefined ? [] : elements(first);
  switch (callee.path) {
    case "collections.OrderedDict":
    case "builtins.dict":
    case "__builtin__.dict":
      if (items) return makeDict(items, budget);
      break;
    case "builtins.list":
    case "__builtin__.list":
      if (items) return copy(items, budget);
      break;
    case "builtins.tuple":
    case "__builtin__.tuple":
    case "torch.Size":
      if (items) return new PickleTuple(items);
      break;
    case "builtins.set":
    case "__builtin__.set":
    case "builtins.frozenset":
    case "__builtin__.frozenset":
      if (items) return new PickleSet(copy(items, budget));
      break;
    case "builtins.bytes":
    case "__builtin__.bytes":
    case "builtins.bytearray":
    case "__builtin__.bytearray":
      if (first === undefined) return new Uint8Array();
      if (first instanceof Uint8Array) return first;
      if (typeof first === "string" && second !== undefined) return encodeLatin1(first, budget);
      break;
    case "_codecs.encode":
      // How protocols below 3 spell bytes.
      if (typeof first === "string" && (second === "latin1" || second === "latin-1")) {
        return encodeLatin1(first, budget);
      }
      break;
    case "copy_reg._reconstructor":
    case "copyreg._reconstructor":
      return new PickleObject(first ?? null, new PickleTuple([]));
  }
  return new PickleObject(callee, args);
}

function makeDict(pairs: readonly PickleValue[], budget: PickleBudget): PickleDict {
  budget.spend(pairs.length);
  const dict = new PickleDict();
  for (const pair of pairs) {
    const [key, value] = elements(pair) ?? [];
    if (key === undefined || value === undefined) {
      throw budget.fail("a dict is made of something other than pairs");
    }
    dict.set(key, value);
  }
  return dict;
}

function copy(items: readonly PickleValue[], budget: PickleBudget): PickleValue[] {
  budget.spend(items.length);
  return [...items];
}

function encodeLatin1(text: string, budget: PickleBudget): Uint8Array {
  budget.spendText(text.length);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) throw budget.fail("bytes hold a character above 255");
    bytes[i] = code;
  }
  return bytes;
}

/** The elements of a list or tuple, or undefined for anything else. */
function elements(value: PickleValue): readonly PickleValue[] | undefined {
  if (Array.isArray(value)) return value;
  return value instanceof PickleTuple ? value.items : undefined;
}
