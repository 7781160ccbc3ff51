/** The command line that a run began with, in its folder: what `--resume` goes on with. */

import { type Arguments, parseArguments, UsageError } from "../terminal/arguments.ts";
import { TRAIN } from "./options.ts";
import { writeFileWhole } from "../terminal/write_file.ts";

/** Its file, in the run's folder. */
const COMMAND_FILE = "training/command.json";

/** What says where a run is and how it is shown, not what it is. */
const NOT_OF_A_RUN = ["out", "resume", "json", "help"];

/** The options that were given and belong to the run, by name, each as one argument. */
function optionsOf(args: Arguments): Map<string, string> {
  const options = new Map<string, string>();
  for (const { name } of TRAIN.options) {
    if (NOT_OF_A_RUN.includes(name)) continue;
    const text = args.text(name);
    if (text !== undefined) options.set(name, `--${name}=${text}`);
    else if (args.has(name)) options.set(name, `--${name}`);
  }
  return options;
}

/** Notes a run's command line: its task always, and paths that are the same from another folder. */
export async function saveCommand(folder: string, task: string, args: Arguments): Promise<void> {
  const options = optionsOf(args);
  for (const name of ["data", "tokenizer"]) {
    const path = args.text(name);
    if (path !== undefined) options.set(name, `--${name}=${await Deno.realPath(path)}`);
  }
  const bytes = new TextEncoder().encode(`${JSON.stringify([task, ...options.values()])}\n`);
  await writeFileWhole(`${folder}/${COMMAND_FILE}`, bytes);
}

/** Whether a run has begun in a folder. */
export async function holdsRun(folder: string): Promise<boolean> {
  return await Deno.stat(`${folder}/${COMMAND_FILE}`).then(() => true, () => false);
}

/**
 * The arguments, and of a run that goes on also those that it began with, where they are not given again.
 *
 * @throws {UsageError} If that run was another task's, or does not say what it was.
 */
export async function withSavedCommand(given: readonly string[]): Promise<Arguments> {
  const args = parseArguments(TRAIN, given);
  for (const name of ["out", "resume"]) {
    if (args.text(name) === "") throw new UsageError(`Cannot use --${name}: its folder is ""`);
  }
  const folder = args.text("resume");
  if (folder === undefined) return args;
  if (folder !== (args.text("out") ?? folder)) {
    throw new UsageError("Cannot use --out with --resume: a run goes on in its own folder");
  }
  const saved = await readCommand(`${folder}/${COMMAND_FILE}`);
  const [task] = args.positionals;
  if (saved === undefined) {
    if (task !== undefined) return args;
    throw new UsageError(
      `Cannot go on with "${folder}": its ${COMMAND_FILE} is missing or damaged. Give the task and its settings`,
    );
  }
  const [own = "mnist"] = saved.positionals;
  if (task !== undefined && task !== own) {
    throw new UsageError(`Cannot go on with "${folder}" as ${task}: its run is of ${own}`);
  }
  const options = new Map([...optionsOf(saved), ...optionsOf(args)]);
  const shown = args.has("json") ? ["--json"] : [];
  return parseArguments(TRAIN, [own, ...options.values(), `--resume=${folder}`, ...shown]);
}

/** What a run noted of its command line; undefined where it noted nothing, or something else is there. */
async function readCommand(path: string): Promise<Arguments | undefined> {
  try {
    const saved: unknown = JSON.parse(await Deno.readTextFile(path));
    if (!Array.isArray(saved) || !saved.every((arg) => typeof arg === "string")) return undefined;
    return parseArguments(TRAIN, saved);
  } catch (error) {
    const isDamaged = error instanceof SyntaxError || error instanceof UsageError;
    if (error instanceof Deno.errors.NotFound || isDamaged) return undefined;
    throw error;
  }
}
