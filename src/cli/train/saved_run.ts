/** Which run a command line is about: a new one, or that of the folder which `--resume` names. */

import { readRun, type RunDescription } from "../../train/run/run_description.ts";
import { type Arguments, UsageError } from "../terminal/arguments.ts";

/** A run as the command line asks for it. */
export interface AskedRun {
  /** The task's name. */
  readonly task: string;
  /** Its folder. */
  readonly out: string;
  /** What the folder's run is, where it goes on. */
  readonly saved?: RunDescription;
}

/**
 * Finds out which run is meant.
 *
 * @throws {UsageError} If options contradict each other, or the run that is to go on is another task's.
 * @throws {Deno.errors.NotFound} If there is no such run.
 */
export async function askedRun(args: Arguments): Promise<AskedRun> {
  for (const name of ["out", "resume", "from"]) {
    if (args.text(name) === "") throw new UsageError(`Cannot use --${name}: its folder is ""`);
  }
  const [task] = args.positionals;
  const folder = args.text("resume");
  if (folder === undefined) {
    const name = task ?? "mnist";
    return { task: name, out: args.text("out") ?? `trained/${name}` };
  }
  if (folder !== (args.text("out") ?? folder)) {
    throw new UsageError("Cannot use --out with --resume: a run goes on in its own folder");
  }
  if (args.has("overwrite")) {
    throw new UsageError("Cannot use --overwrite with --resume: a run goes on, or begins anew");
  }
  if (args.text("from") !== undefined) {
    throw new UsageError("Cannot use --from with --resume: a run goes on with its own weights");
  }
  const saved = await readRun(folder);
  if (task !== undefined && task !== saved.task) {
    throw new UsageError(`Cannot go on with "${folder}" as ${task}: its run is of ${saved.task}`);
  }
  if (saved.options === undefined) {
    throw new UsageError(
      `Cannot go on with "${folder}": its task was made by a program. Go on there, with train()`,
    );
  }
  return { task: saved.task, out: folder, saved };
}
