/** What a run is: task, settings, model and data. A run goes on only with its own. */

import { writeWhole } from "../../io/write_whole.ts";
import type { ModelConfig } from "../../model/config/config.ts";
import type { Backend } from "../../model/executor.ts";
import { RUN_FILES } from "./run_files.ts";
import type { Hyperparameters, Task, TaskOptions } from "../task.ts";

/** What a task is loaded with again; its settings are the run's. */
export type SavedOptions = Omit<TaskOptions, "fetch" | "hyperparameters">;

/** What `training/run.json` holds. */
export interface RunDescription {
  /** The task's name. */
  readonly task: string;
  /** What the task was loaded with; absent where a program made the task itself. */
  readonly options?: SavedOptions | undefined;
  /** All settings, those that nobody gave included. */
  readonly settings: Hyperparameters;
  /** The model. */
  readonly config: ModelConfig;
  /** The data, in one line. */
  readonly data: string;
  /** Its hash; absent where the task gives none. */
  readonly dataHash?: string | undefined;
  /** What it is trained on; absent of a run that began before there was a choice, on WebGPU. */
  readonly backend?: Backend | undefined;
  /** Whether its number of steps was another once. */
  readonly isExtended?: boolean | undefined;
}

/** Describes a run of a task. Paths are the same from another folder. */
export async function describeRun(
  { name, options, defaults, config, summary, dataHash }: Task,
): Promise<RunDescription> {
  const run = {
    ...{ task: name, settings: defaults, config, data: summary },
    ...(dataHash === undefined ? {} : { dataHash: await dataHash() }),
  };
  if (options === undefined) return run;
  const { fetch: _fetch, hyperparameters: _settings, ...saved } = options;
  const paths: { data?: string; tokenizer?: string } = {};
  for (const key of ["data", "tokenizer"] as const) {
    const path = saved[key];
    if (path !== undefined) paths[key] = await Deno.realPath(path);
  }
  return { ...run, options: { ...saved, ...paths } };
}

/** Writes what a folder's run is. */
export async function writeRun(folder: string, run: RunDescription): Promise<void> {
  const text = `${JSON.stringify(run, null, 2)}\n`;
  await writeWhole(`${folder}/${RUN_FILES.description}`, text);
}

/**
 * Reads what a folder's run is.
 *
 * @throws {Deno.errors.NotFound} If there is no run.
 * @throws {SyntaxError} If its description is damaged.
 */
export async function readRun(folder: string): Promise<RunDescription> {
  const path = `${folder}/${RUN_FILES.description}`;
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory)) {
      throw cause;
    }
    throw new Deno.errors.NotFound(
      `Cannot resume: there is no "${path}", and "${folder}" is not the folder of a run`,
      { cause },
    );
  }
  const run = parseRun(text);
  if (run !== undefined) return run;
  throw new SyntaxError(
    `Cannot resume from "${folder}": its ${RUN_FILES.description} is damaged. ` +
      "Begin the run anew, with --overwrite (in a program: overwrite)",
  );
}

function parseRun(text: string): RunDescription | undefined {
  try {
    const run: Partial<RunDescription> | null = JSON.parse(text);
    const { task, settings, config, data } = run ?? {};
    if (typeof task !== "string" || typeof data !== "string") return undefined;
    if (typeof settings !== "object" || typeof config !== "object") return undefined;
    if (settings === null || config === null) return undefined;
    return { ...run, task, settings, config, data };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** When to stop may differ: it changes no step that was done. */
const MAY_DIFFER = ["steps", "patience"];

/**
 * What a run goes on as: itself, or longer.
 *
 * With another number of steps the learning rate follows the new schedule from here on; the warm-up, which a task may
 * derive from the steps, stays the run's.
 *
 * @param saved What the folder's run is.
 * @param asked What it is asked to go on as.
 * @throws {TypeError} If a setting differs; all that do are named.
 */
export function continuedRun(
  folder: string,
  saved: RunDescription,
  asked: RunDescription,
): RunDescription {
  const isExtended = saved.isExtended === true || asked.settings.steps !== saved.settings.steps;
  const { warmupSteps } = saved.settings;
  const run = isExtended
    ? { ...asked, settings: { ...asked.settings, warmupSteps }, isExtended }
    : asked;
  const differing = differences(identityOf(saved), identityOf(run));
  const hashes = [run.dataHash, saved.dataHash];
  if (run.data === saved.data && !hashes.includes(undefined) && hashes[0] !== hashes[1]) {
    differing.push(
      `data is other than its run has, of the same size (SHA-256 ${hashes.join(", not ")})`,
    );
  }
  if (differing.length > 0) {
    throw new TypeError(
      `Cannot resume from "${folder}": ${differing.join("; ")}. ` +
        "Give the run's own settings and data, or another folder",
    );
  }
  return run;
}

/** By the names that users give: settings as they are called, the model's sizes with a prefix. */
function identityOf({ task, settings, config, data }: RunDescription): Map<string, string> {
  const found = new Map([["task", JSON.stringify(task)], ["data", JSON.stringify(data)]]);
  const add = (value: unknown, path: string) => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, member] of Object.entries(value)) {
        add(member, path === "" ? key : `${path}.${key}`);
      }
    } else if (value !== undefined) found.set(path, JSON.stringify(value));
  };
  add(settings, "");
  for (const name of MAY_DIFFER) found.delete(name);
  // Through JSON, as the saved one came: what it leaves out is no difference.
  add(JSON.parse(JSON.stringify(config)), "config");
  return found;
}

function differences(
  saved: ReadonlyMap<string, string>,
  asked: ReadonlyMap<string, string>,
): string[] {
  const keys = new Set([...asked.keys(), ...saved.keys()]);
  return [...keys].filter((key) => saved.get(key) !== asked.get(key)).map((key) =>
    `${key} is ${asked.get(key) ?? "absent"}, and its run has ${saved.get(key) ?? "none"}`
  );
}
