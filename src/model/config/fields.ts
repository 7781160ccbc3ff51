/**
 * Reading single fields of a config.json that may be wrong, foreign or hostile.
 *
 * Every reader gives the value, `undefined` where the field is absent, or throws a {@linkcode ConfigError} that
 * names the file, the field, what was found and what is needed.
 */

/**
 * A config.json that cannot be used as it is: trying again will not help.
 *
 * @example A model of another kind
 * ```ts
 * import { ConfigError, loadModel } from "../../../mod.ts";
 *
 * const folder = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${folder}/config.json`, '{ "model_type": "llama" }');
 * await Deno.copyFile("tests/golden/mamba1/model.safetensors", `${folder}/model.safetensors`);
 * const error = await loadModel(folder).catch((error) => error);
 * error instanceof ConfigError; // true: the message names the field, and what is expected
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class ConfigError extends SyntaxError {
  /** `"ConfigError"`. */
  override name = "ConfigError";
}

/** Long enough to recognize a value, short enough for one line. */
const MAX_SHOWN_CHARACTERS = 60;

/** A value as an error message shows it: whole where it is small, by kind and size where it is not. */
export function describe(value: unknown): string {
  if (value === undefined) return "absent";
  if (typeof value === "string") {
    const shown = JSON.stringify(value.slice(0, MAX_SHOWN_CHARACTERS));
    return value.length > MAX_SHOWN_CHARACTERS ? `${shown}...` : shown;
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

/** One JSON object, with the path that leads to it. */
export class Fields {
  readonly #object: Record<string, unknown>;
  readonly #fileName: string;
  readonly #prefix: string;

  constructor(json: unknown, fileName: string, prefix = "") {
    this.#fileName = fileName;
    this.#prefix = prefix;
    if (typeof json !== "object" || json === null || Array.isArray(json)) {
      const place = prefix === "" ? "the file holds" : `${prefix.slice(0, -1)} is`;
      this.fail(`${place} ${describe(json)}, expected an object`);
    }
    // The check above leaves a plain object, whose values stay unknown.
    this.#object = json as Record<string, unknown>;
  }

  /** Throws, with the file's name before the reason. */
  fail(reason: string): never {
    throw new ConfigError(`Cannot load ${this.#fileName}: ${reason}`);
  }

  /** Throws for one field: what it holds, and what it should. */
  expected(name: string, needed: string): never {
    this.fail(`${this.path(name)} is ${describe(this.value(name))}, expected ${needed}`);
  }

  /** The field's name from the top of the file on, such as `ssm_cfg.d_state`. */
  path(name: string): string {
    return this.#prefix + name;
  }

  /** The same object without some of its fields. */
  without(names: readonly string[]): Fields {
    const kept = Object.entries(this.#object).filter(([name]) => !names.includes(name));
    return new Fields(Object.fromEntries(kept), this.#fileName, this.#prefix);
  }

  /** The names that the object has. */
  names(): string[] {
    return Object.keys(this.#object);
  }

  /** The field as it stands; inherited properties do not count. */
  value(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  /** Whether the field is there, whatever it holds. */
  has(name: string): boolean {
    return this.value(name) !== undefined;
  }

  /** A whole number from `min` to `max`. */
  integer(name: string, min: number, max: number): number | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !Number.isInteger(value) || value < min || value > max) {
      this.expected(name, `an integer from ${min} to ${max}`);
    }
    return value;
  }

  /** Like {@linkcode Fields.integer}, for a field that nothing can stand in for. */
  requiredInteger(name: string, min: number, max: number): number {
    return this.integer(name, min, max) ??
      this.expected(name, `an integer from ${min} to ${max}`);
  }

  /** A number above 0 and at most `max`. */
  positive(name: string, max: number): number | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !(value > 0 && value <= max)) {
      this.expected(name, `a number above 0, at most ${max}`);
    }
    return value;
  }

  /** `true` or `false`. */
  boolean(name: string): boolean | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === "boolean") return value;
    this.expected(name, "true or false");
  }

  /** One of the given words. */
  word<T extends string>(name: string, words: readonly T[]): T | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    return words.find((word) => word === value) ??
      this.expected(name, words.map((word) => JSON.stringify(word)).join(" or "));
  }

  /** An object inside this one; `null` counts as absent. */
  object(name: string): Fields | undefined {
    const value = this.value(name);
    if (value === undefined || value === null) return undefined;
    return new Fields(value, this.#fileName, `${this.path(name)}.`);
  }

  /** An array; `null` counts as absent. */
  array(name: string): readonly unknown[] | undefined {
    const value = this.value(name);
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value)) this.expected(name, "an array");
    return value;
  }

  /** An array of exactly `length` finite numbers. */
  numbers(name: string, length: number): readonly number[] {
    const values = this.array(name) ?? this.expected(name, `an array of ${length} numbers`);
    if (values.length !== length) this.expected(name, `an array of ${length} numbers`);
    return values.map((value, index) => {
      if (typeof value !== "number" || !Number.isFinite(value)) {
        this.fail(`${this.path(name)}[${index}] is ${describe(value)}, expected a finite number`);
      }
      return value;
    });
  }

  /** An array of strings. */
  strings(name: string): readonly string[] | undefined {
    return this.array(name)?.map((value, index) => {
      if (typeof value !== "string") {
        this.fail(`${this.path(name)}[${index}] is ${describe(value)}, expected a string`);
      }
      return value;
    });
  }
}

/** A setting as found: its value, and the name that it goes by in this file. */
export interface Setting<T> {
  readonly path: string;
  readonly value: T;
}

/**
 * Reads one setting that goes by several names. Where more than one is present they must agree: a file that says
 * two things is refused rather than half believed.
 */
export function agreed<T>(
  places: readonly (readonly [Fields | undefined, string])[],
  read: (fields: Fields, name: string) => T | undefined,
): Setting<T> | undefined {
  let first: Setting<T> | undefined;
  for (const [fields, name] of places) {
    const value = fields === undefined ? undefined : read(fields, name);
    if (fields === undefined || value === undefined) continue;
    const path = fields.path(name);
    if (first === undefined) first = { path, value };
    else if (first.value !== value) {
      fields.fail(
        `${first.path} is ${describe(first.value)}, and ${path} is ${describe(value)}: ` +
          "both name the same setting",
      );
    }
  }
  return first;
}
