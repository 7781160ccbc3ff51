/** Command lines: what a command takes, and reading that strictly. */

import { parseArgs } from "npm:deno-std@1.4.0/cli/parse_args.js";

/** A command line that does not follow the usage. Exit code 2, and a pointer to --help. */
export class UsageError extends Error {
  /** The class's name. */
  override readonly name = "UsageError";
}

/** An option of a command. */
export interface OptionSpec {
  /** Without the dashes. */
  readonly name: string;
  /** What stands for its value in the help, such as `N`; an option without one is a switch. */
  readonly value?: string;
  /** Whether it may be given several times. */
  readonly repeats?: boolean;
  /** One line for the help, with the default. */
  readonly help: string;
}

/** A command: all that its help and its parsing need. */
export interface CommandSpec {
  /** What selects it on the command line. */
  readonly name: string;
  /** One line: what it does. */
  readonly summary: string;
  /** The positional arguments as the usage line shows them, such as `<model>`. */
  readonly positionals: readonly string[];
  /** How many positional arguments must be there. */
  readonly required: number;
  /** The named arguments, in the order of the help. */
  readonly options: readonly OptionSpec[];
  /** A command line that works, without `deno run`. */
  readonly example: string;
  /** Further paragraphs of the help. */
  readonly details?: readonly string[];
}

/** The bounds of a number. */
export interface Bounds {
  /** The smallest that is allowed. */
  readonly min?: number;
  /** All that is allowed is above this. */
  readonly above?: number;
  /** The largest that is allowed. */
  readonly max?: number;
}

/** A parsed command line. Every getter checks what it returns. */
export class Arguments {
  /** Arguments without a name, in order. */
  readonly positionals: readonly string[];
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #switches: ReadonlySet<string>;

  /** Use `parseArguments`. */
  constructor(
    positionals: readonly string[],
    values: ReadonlyMap<string, readonly string[]>,
    switches: ReadonlySet<string>,
  ) {
    this.positionals = positionals;
    this.#values = values;
    this.#switches = switches;
  }

  /** Whether the switch was given. */
  has(name: string): boolean {
    return this.#switches.has(name);
  }

  /** The option's value, the last one where it came several times. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  /** All values of an option that may repeat. */
  texts(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /**
   * The option's value where it must be one of a few words.
   *
   * @throws {UsageError} If it is another.
   */
  word<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) {
      throw new UsageError(`Cannot use --${name} ${text}: expected ${listed(words)}`);
    }
    return word;
  }

  /**
   * The option's value as a number.
   *
   * @throws {UsageError} If it is not a finite number within the bounds.
   */
  number(name: string, bounds: Bounds = {}): number | undefined {
    return this.#number(name, bounds, "a number", Number.isFinite);
  }

  /**
   * The option's value as a whole number.
   *
   * @throws {UsageError} If it is not a whole number within the bounds.
   */
  integer(name: string, bounds: Bounds = {}): number | undefined {
    return this.#number(name, bounds, "a whole number", Number.isSafeInteger);
  }

  #number(
    name: string,
    { min = -Infinity, above = -Infinity, max = Infinity }: Bounds,
    kind: string,
    accepts: (value: number) => boolean,
  ): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    // Number("") is 0, and Number("0x10") is 16: neither is what somebody meant.
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
    if (!accepts(value) || value < min || value <= above || value > max) {
      const lower = above > -Infinity
        ? ` above ${above}`
        : min > -Infinity
        ? ` of ${min} or more`
        : "";
      const upper = max < Infinity ? `${lower === "" ? "" : ","} at most ${max}` : "";
      throw new UsageError(
        `Cannot use --${name} ${text || '""'}: expected ${kind}${lower}${upper}`,
      );
    }
    return value;
  }
}

/**
 * Reads a command line. Options may stand anywhere, as `--name value` or `--name=value`; what follows
 * `--` is positional. A value may begin with a dash.
 *
 * @param spec What the command takes.
 * @param args The arguments after the command's name.
 * @throws {UsageError} If an option is unknown or lacks its value, or the positional arguments are too
 * few or too many.
 */
export function parseArguments(spec: CommandSpec, args: readonly string[]): Arguments {
  const valued = new Map(
    spec.options.filter(({ value }) => value !== undefined).map((option) => [option.name, option]),
  );
  const switches = spec.options.filter(({ value }) => value === undefined).map(({ name }) => name);
  const parsed: Record<string, unknown> = parseArgs(joinValues(spec, args, valued), {
    string: [...valued.keys(), "_"],
    boolean: switches,
    collect: [...valued.keys()],
    unknown: (arg: string) => {
      if (arg.startsWith("-") && arg !== "-") throw unknownOption(spec, arg);
      return true;
    },
  });
  const values = new Map<string, readonly string[]>();
  for (const { name, repeats } of valued.values()) {
    const given = parsed[name];
    if (!Array.isArray(given) || given.length === 0) continue;
    if (given.length > 1 && !repeats) {
      throw new UsageError(`Cannot use --${name} ${given.length} times: it has one value`);
    }
    values.set(name, given.map(String));
  }
  const positionals = Array.isArray(parsed["_"]) ? parsed["_"].map(String) : [];
  if (positionals.length < spec.required) {
    throw new UsageError(
      `Cannot run ${nameOf(spec)}: ${spec.positionals[positionals.length]} is missing`,
    );
  }
  if (positionals.length > spec.positionals.length) {
    throw new UsageError(
      `Cannot run ${nameOf(spec)}: unexpected argument "${positionals[spec.positionals.length]}"`,
    );
  }
  return new Arguments(positionals, values, new Set(switches.filter((name) => parsed[name])));
}

/** Ties `--name value` together as `--name=value`, so that a value may begin with a dash: `--seed -1`. */
function joinValues(
  spec: CommandSpec,
  args: readonly string[],
  valued: ReadonlyMap<string, OptionSpec>,
): string[] {
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--") return [...joined, ...args.slice(i)];
    const option = arg.startsWith("--") ? valued.get(arg.slice(2)) : undefined;
    if (option === undefined) {
      const [name = ""] = arg.split("=");
      const isSwitch = spec.options.some((o) => o.value === undefined && `--${o.name}` === name);
      if (isSwitch && arg !== name) throw new UsageError(`Cannot use ${arg}: ${name} has no value`);
      joined.push(arg);
      continue;
    }
    const value = args[++i];
    if (value === undefined) {
      throw new UsageError(`Cannot use ${arg}: its value ${option.value} is missing`);
    }
    joined.push(`${arg}=${value}`);
  }
  return joined;
}

function unknownOption(spec: CommandSpec, arg: string): UsageError {
  const [name = arg] = arg.split("=");
  const near = spec.options.find((option) =>
    name.length > 3 && (option.name.startsWith(name.slice(2)) || name.includes(option.name))
  );
  return new UsageError(
    `Cannot use ${name}: ${nameOf(spec)} has no such option` +
      (near === undefined ? "" : `. Did you mean --${near.name}?`),
  );
}

/** What messages call a command: a program of one command alone has no name for it. */
function nameOf({ name }: CommandSpec): string {
  return name === "" ? "this program" : name;
}

function listed(words: readonly string[]): string {
  return words.length < 2
    ? words.join("")
    : `${words.slice(0, -1).join(", ")} or ${words[words.length - 1]}`;
}
