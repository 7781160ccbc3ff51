/** States that outlive the process: the options that every command with a stream has for them. */

import type { Session } from "../../engine/session.ts";
import { decodeSnapshot, encodeSnapshot, type Snapshot } from "../../engine/snapshot.ts";
import { readDataFile } from "../../io/datasets/data_file.ts";
import { writeWhole } from "../../io/write_whole.ts";
import { type Arguments, type OptionSpec, UsageError } from "../terminal/arguments.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { checkWritable } from "../terminal/write_file.ts";

/** The options. */
export const STATE_OPTIONS: readonly OptionSpec[] = [
  {
    name: "save-state",
    value: "FILE",
    help: "Write the state at the end, after Ctrl-C and SIGTERM too",
  },
  { name: "save-every", value: "N", help: "Also write it after every N steps (default: never)" },
  { name: "load-state", value: "FILE", help: "Go on from a written state" },
];

/** Where states are read from and written to. */
export class StateFile {
  /** What to go on from. */
  readonly loaded: Snapshot | undefined;
  /** Steps after which the state is written; Infinity if it is at the end alone. */
  readonly every: number;
  readonly #path: string | undefined;
  readonly #terminal: Terminal;
  /** Steps until the state is due to be written. */
  #left: number;

  /** Use {@linkcode openStateFile}. */
  constructor(
    loaded: Snapshot | undefined,
    path: string | undefined,
    every: number,
    terminal: Terminal,
  ) {
    this.loaded = loaded;
    this.every = every;
    this.#path = path;
    this.#terminal = terminal;
    this.#left = every;
  }

  /** Whether states are written. */
  get saves(): boolean {
    return this.#path !== undefined;
  }

  /** Steps until the state is due to be written. */
  get due(): number {
    return this.#left;
  }

  /** Brings a new session to where the loaded state was taken. */
  begin(session: Session): void {
    if (this.loaded !== undefined) session.restore(this.loaded);
  }

  /** Counts steps, and writes the state where it is due; where it can be of no use, it waits for the next place. */
  async count(steps: number, session: Session, isPlace = true): Promise<void> {
    this.#left -= steps;
    if (this.#left > 0 || !isPlace) return;
    this.#left = this.every;
    await this.write(await session.snapshot());
  }

  /** Writes the state, whole or not at all. */
  async write(snapshot: Snapshot): Promise<void> {
    if (this.#path !== undefined) await writeWhole(this.#path, encodeSnapshot(snapshot));
  }

  /**
   * Does a session's work, and writes the state after it: whoever reads the result may have seen enough, as in `| head`,
   * and the state is that of what was made until then.
   */
  async keep(session: Session, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) await this.#end(session);
      throw error;
    }
    await this.#end(session);
  }

  async #end(session: Session): Promise<void> {
    if (this.#path === undefined) return;
    await this.write(await session.snapshot());
    this.#terminal.writeError(`State: ${this.#path}, after ${session.position} inputs\n`);
  }
}

/**
 * Reads the options and the loaded state, and makes sure that one can be written.
 *
 * @throws {UsageError} If states are to be written every so often, and nowhere.
 */
export async function openStateFile(args: Arguments, terminal: Terminal): Promise<StateFile> {
  const path = args.text("save-state"), loadPath = args.text("load-state");
  const every = args.integer("save-every", { min: 1 });
  if (every !== undefined && path === undefined) {
    throw new UsageError("Cannot use --save-every: give --save-state FILE, too");
  }
  const loaded = loadPath === undefined
    ? undefined
    : await decodeSnapshot(await readDataFile(loadPath, "a saved state"), loadPath);
  if (path !== undefined) await checkWritable(path);
  return new StateFile(loaded, path, every ?? Infinity, terminal);
}
