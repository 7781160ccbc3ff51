/**
 * What a pickle can hold, as plain data.
 *
 * None, booleans, integers (bigint beyond 2^53), floats, strings and bytes are JavaScript's own, a
 * list is an array. Values may contain themselves: whoever walks them must expect cycles.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | PickleTuple
  | PickleSet
  | PickleDict
  | PickleGlobal
  | PickleObject
  | PicklePersistent;

/** A tuple. */
export class PickleTuple {
  /** The elements. */
  readonly items: readonly PickleValue[];
  /** Makes a tuple of `items`, which it keeps. */
  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** A set or a frozenset. */
export class PickleSet {
  /** The elements, in the order of the pickle. */
  readonly items: PickleValue[];
  /** Makes a set of `items`, which it keeps. */
  constructor(items: PickleValue[]) {
    this.items = items;
  }
}

/** A dict or an OrderedDict. Keys that are not plain values are compared by identity. */
export class PickleDict {
  // Made with the first member: an empty dict is one byte of a pickle, and a Map some 200.
  #entries: Map<PickleValue, PickleValue> | undefined;
  /** Attributes that the pickle set on it, such as a state dict's `_metadata`. */
  state: PickleValue | undefined;
  /** The members, in the order of the pickle. */
  get entries(): ReadonlyMap<PickleValue, PickleValue> {
    return this.#entries ?? NO_ENTRIES;
  }
  /** Adds or replaces a member. */
  set(key: PickleValue, value: PickleValue): void {
    this.#entries ??= new Map();
    this.#entries.set(key, value);
  }
}

const NO_ENTRIES: ReadonlyMap<PickleValue, PickleValue> = new Map();

/** A class or function, by name. It is never looked up, imported or called. */
export class PickleGlobal {
  /** The Python module. */
  readonly module: string;
  /** The name inside it, with dots where nested. */
  readonly name: string;
  /** Makes the name of something. */
  constructor(module: string, name: string) {
    this.module = module;
    this.name = name;
  }
  /** Module and name with a dot between. */
  get path(): string {
    return `${this.module}.${this.name}`;
  }
}

/** What Python would have made by calling something. Here it only records what would be called. */
export class PickleObject {
  /** What would be called, or instantiated. */
  readonly class: PickleValue;
  /** With which arguments. */
  readonly args: PickleValue;
  /** Attributes, or whatever its `__setstate__` would be given. */
  state: PickleValue | undefined;
  /** What would be appended, for a subclass of list or set. */
  readonly items: PickleValue[] = [];
  /** What would be assigned by key, for a subclass of dict. */
  entries: Map<PickleValue, PickleValue> | undefined;
  /** Records a call. */
  constructor(callee: PickleValue, args: PickleValue) {
    this.class = callee;
    this.args = args;
  }
  /** The dotted name of what would be called, or "" where it is not a plain name. */
  get classPath(): string {
    return this.class instanceof PickleGlobal ? this.class.path : "";
  }
}

/** A reference to something outside the pickle, such as a tensor's storage. */
export class PicklePersistent {
  /** Whatever names it there. */
  readonly id: PickleValue;
  /** Makes a reference. */
  constructor(id: PickleValue) {
    this.id = id;
  }
}
