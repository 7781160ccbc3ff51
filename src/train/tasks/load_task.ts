/** Tasks by name. A new one is a file with a function, and a line here. */

import type { Task, TaskOptions } from "../task.ts";
import { cifar10Task } from "./cifar10.ts";
import { mnistTask } from "./mnist.ts";
import { mnistPixelsTask } from "./mnist_pixels.ts";
import { mnist1dTask } from "./mnist1d.ts";
import { seriesTask } from "./series.ts";
import { shakespeareTask } from "./shakespeare.ts";
import { textTask } from "./text.ts";

const TASKS: ReadonlyMap<string, (options: TaskOptions) => Promise<Task>> = new Map([
  ["mnist", mnistTask],
  ["mnist-pixels", mnistPixelsTask],
  ["text", textTask],
  ["shakespeare", shakespeareTask],
  ["cifar10", cifar10Task],
  ["series", seriesTask],
  ["mnist1d", mnist1dTask],
]);

/** Names that `loadTask` takes. */
export const TASK_NAMES: readonly string[] = [...TASKS.keys()];

/** Options that mean nothing to the other tasks. */
const TAKEN_BY: Readonly<Record<"tokenizer" | "heldOut", readonly string[]>> = {
  tokenizer: ["text", "shakespeare"],
  heldOut: ["mnist", "mnist-pixels", "cifar10"],
};

/**
 * Loads a task: reads and checks all of its data, so that bad data ends here and not in the middle of a run.
 *
 * @param name One of `TASK_NAMES`.
 * @param options Data, preset, and settings other than the task's own.
 * @throws {RangeError} If there is no task of that name, or an option is out of range.
 * @throws {SyntaxError} If the data is damaged, or cannot be trained on.
 * @throws {TypeError} If the task needs data, and the options name none, or an option means nothing to it.
 */
export async function loadTask(name: string, options: TaskOptions = {}): Promise<Task> {
  const load = TASKS.get(name);
  if (load === undefined) {
    throw new RangeError(
      `Cannot load the task "${name}": the known ones are ${TASK_NAMES.join(", ")}`,
    );
  }
  for (const option of ["tokenizer", "heldOut"] as const) {
    if (options[option] === undefined || TAKEN_BY[option].includes(name)) continue;
    throw new TypeError(
      `Cannot load the task "${name}": it does not take ${option}, which is for ` +
        TAKEN_BY[option].join(", "),
    );
  }
  return { ...await load(options), options };
}
