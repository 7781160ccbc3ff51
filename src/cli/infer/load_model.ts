/** The options that every command with a model has, and loading it with them. */

import { loadModel, type LoadOptions } from "../../engine/load_model.ts";
import type { Model } from "../../engine/model.ts";
import { S4_MODES } from "../../model/mixers/s4_fields.ts";
import { STEP_CHOICES } from "../../model/step_choice.ts";
import type { Arguments, OptionSpec } from "../terminal/arguments.ts";
import { BACKEND_OPTION, backendSettings } from "../terminal/backend_options.ts";
import { formatBytes, formatDuration } from "../terminal/format.ts";
import { LoadLine } from "./load_line.ts";
import type { Terminal } from "../terminal/terminal.ts";

const DTYPES = ["auto", "f32", "f16", "bf16", "int8", "int4"] as const;

/** The options that every command with a model has. */
export const LOAD_OPTIONS: readonly OptionSpec[] = [
  BACKEND_OPTION,
  {
    name: "threads",
    value: "N",
    help: "Threads on the CPU (default: as many as help, found by timing)",
  },
  {
    name: "dtype",
    value: "TYPE",
    help: "Weights as auto, f32, f16, bf16, int8 or int4 (default auto: as stored)",
  },
  {
    name: "step",
    value: "NAME",
    help: "Steps on a GPU: list, fused or auto, the quicker (default auto)",
  },
  {
    name: "mode",
    value: "NAME",
    help: "Sequences through S4D or S4: conv or recurrent (default: the model's)",
  },
  {
    name: "tokenizer",
    value: "FILE",
    help: "A tokenizer.json (default: the one beside the weights)",
  },
  { name: "help", help: "Show this help" },
];

/** Reads the options; call it before anything slow, so that mistakes show at once. */
export function loadSettings(args: Arguments): LoadOptions {
  return {
    ...backendSettings(args),
    dtype: args.word("dtype", DTYPES) ?? "auto",
    step: args.word("step", STEP_CHOICES) ?? "auto",
    mode: args.word("mode", S4_MODES),
    tokenizer: readTokenizer(args.text("tokenizer")),
  };
}

function readTokenizer(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`Cannot read the tokenizer "${path}": ${reason}`, { cause });
  }
}

/** Loads a model with progress, and says on stderr where it runs. */
export async function loadForCommand(
  source: string,
  settings: LoadOptions,
  terminal: Terminal,
): Promise<Model> {
  const start = performance.now();
  const model = await loadWithLine(source, settings, terminal);
  const elapsed = formatDuration(performance.now() - start);
  terminal.writeError(
    `${describeDevice(model)}\n` +
      `Model: ${source}, ${formatBytes(model.weightBytes)} of weights, ` +
      `${formatBytes(model.stateBytes)} of state, loaded in ${elapsed}\n`,
  );
  return model;
}

/** Loads a model; where that takes a while, stderr shows how far it is. */
export async function loadWithLine(
  source: string | URL,
  settings: LoadOptions,
  terminal: Terminal,
): Promise<Model> {
  using line = new LoadLine(terminal);
  return await loadModel(source, { ...settings, onProgress: (step) => line.update(step) });
}

/** What runs the model, in one line. */
export function describeDevice({ device, deviceNote }: Model): string {
  return `Device: ${device}${deviceNote === undefined ? "" : `, ${deviceNote}`}`;
}
