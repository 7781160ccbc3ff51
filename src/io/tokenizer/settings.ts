/** The settings of one part of a tokenizer.json, and what its parts are made of. */

/** Settings that may be wrong: every reader gives a value, what is meant where it is absent, or throws by its name. */
export class Settings {
  /** Where in the file this is, such as "pre_tokenizer". */
  readonly path: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #fail: (detail: string) => Error;

  constructor(value: unknown, path: string, fail: (detail: string) => Error) {
    this.path = path;
    this.#fail = fail;
    if (!isRecord(value)) throw fail(`${path} is ${JSON.stringify(value)}, expected an object`);
    this.#values = value;
  }

  /** The value as it is; null counts as absent. */
  value(name: string): unknown {
    return (Object.hasOwn(this.#values, name) ? this.#values[name] : undefined) ?? undefined;
  }

  /** The error of one setting: what it is, and what it should be. */
  expected(name: string, needed: string): Error {
    const shown = JSON.stringify(this.value(name))?.slice(0, 60) ?? "absent";
    return this.#fail(`${this.path}.${name} is ${shown}, expected ${needed}`);
  }

  /** A text. */
  text(name: string, absent?: string): string {
    const value = this.value(name) ?? absent;
    if (typeof value !== "string") throw this.expected(name, "a text");
    return value;
  }

  /** A boolean. */
  flag(name: string, absent?: boolean): boolean {
    const value = this.value(name) ?? absent;
    if (typeof value !== "boolean") throw this.expected(name, "true or false");
    return value;
  }

  /** A whole number, zero or more. */
  count(name: string, absent?: number): number {
    const value = this.value(name) ?? absent;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw this.expected(name, "a whole number, zero or more");
    }
    return value;
  }

  /** One of several words. */
  word<T extends string>(name: string, words: readonly T[], absent?: T): T {
    const value = this.value(name) ?? absent;
    const word = words.find((word) => word === value);
    if (word !== undefined) return word;
    throw this.expected(name, words.map((word) => JSON.stringify(word)).join(" or "));
  }

  /** The settings of a part inside this one. */
  part(name: string): Settings {
    return new Settings(this.value(name), `${this.path}.${name}`, this.#fail);
  }

  /** The settings of each of a list of parts. */
  parts(name: string): Settings[] {
    const value = this.value(name);
    if (!Array.isArray(value)) throw this.expected(name, "a list");
    return value.map((part, i) => new Settings(part, `${this.path}.${name}[${i}]`, this.#fail));
  }
}

/** Whether a value is an object with names. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
