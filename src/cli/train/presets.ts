/** What the help says of tasks and presets: every setting that is not the same for all. */

import { COMMON, type TaskPreset } from "../../train/task.ts";
import { TASK_PRESETS } from "../../train/tasks/load_task.ts";
import { NUMBERS, SIZES } from "./setting_options.ts";

/** Columns of a line. */
const WIDTH = 100;

/** A few lines a preset, with its settings as options. */
export function describePresets(): string {
  const rows = [...TASK_PRESETS].flatMap(([task, presets]) =>
    presets.flatMap((preset) => [headOf(task, preset), ...settingsOf(preset)])
  );
  return [
    "Tasks and their presets, the first of each its default, on a CPU another where that is said (default task: mnist):",
    ...rows,
  ].join("\n");
}

function headOf(task: string, { name, note, isDefaultOnCpu = false }: TaskPreset): string {
  const place = isDefaultOnCpu ? ", the default on a CPU" : "";
  return `  ${task} --preset ${name}${place}${note === undefined ? "" : `: ${note}`}`;
}

function settingsOf({ settings, size }: TaskPreset): string[] {
  const common: TaskPreset["settings"] = COMMON;
  const numbers = NUMBERS.flatMap(([option, key]) =>
    settings[key] === undefined || settings[key] === common[key] ? [] : [[option, settings[key]]]
  );
  const sizes = SIZES.flatMap(([option, key]) =>
    size[key] === undefined ? [] : [[option, size[key]]]
  );
  const lines: string[] = [];
  for (const [option, value] of [...numbers, ...sizes]) {
    const text = ` --${option} ${value}`;
    const last = lines.at(-1);
    if (last === undefined || last.length + text.length > WIDTH) lines.push(`     ${text}`);
    else lines[lines.length - 1] = last + text;
  }
  return lines;
}
