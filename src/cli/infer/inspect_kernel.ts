/** `infer.ts inspect --kernel`: what a layer convolves with, as numbers and as a plot. */

import { readConfig, withOwnEnds } from "../../engine/read_config.ts";
import type { Checkpoint } from "../../io/checkpoint.ts";
import { toFloat32 } from "../../io/dtype.ts";
import { stateDictPrefix } from "../../io/state_dict.ts";
import { writeWhole } from "../../io/write_whole.ts";
import type { LayerKernels } from "../../model/mixers/mixer.ts";
import { mixerOf, mixers } from "../../model/mixers/mixers.ts";
import { type Arguments, UsageError } from "../terminal/arguments.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { checkWritable } from "../terminal/write_file.ts";
import { kernelPlot } from "./kernel_plot.ts";

/** Numbers of each kernel that a line has. */
const SHOWN = 8;

/** The longest kernel: a plot of more shows no more. */
const MAX_LENGTH = 65536;

/** Prints the kernels of a layer, and writes a plot of them. */
export async function inspectKernel(
  checkpoint: Checkpoint,
  args: Arguments,
  terminal: Terminal,
): Promise<void> {
  const layer = args.integer("kernel", { min: 0 }) ?? 0;
  const length = args.integer("length", { min: 1, max: MAX_LENGTH }) ?? 784;
  const path = args.text("svg") ?? `kernel-${layer}.svg`;
  await checkWritable(path);
  const kernels = await readKernels(checkpoint, layer, length);
  await writeWhole(path, kernelPlot(kernels, `Layer ${layer}: K of ${length} steps`));
  terminal.writeError(`Wrote ${path}\n`);
  terminal.write(
    args.has("json")
      ? `${
        JSON.stringify({
          layer,
          length,
          steps: kernels.steps,
          K: kernels.kernels.map((own) => Array.from(own)),
        })
      }\n`
      : toText(kernels),
  );
}

async function readKernels(
  checkpoint: Checkpoint,
  layer: number,
  length: number,
): Promise<LayerKernels> {
  const config = await withOwnEnds(readConfig(checkpoint), checkpoint);
  const mixer = mixerOf(config);
  if (mixer.kernels === undefined) {
    const names = mixers().filter(({ kernels }) => kernels !== undefined).map(({ name }) => name);
    throw new UsageError(
      `Cannot show a kernel: the model is of type "${config.model_type}", and only ${
        names.join(" and ")
      } have one`,
    );
  }
  if (layer >= config.n_layer) {
    throw new UsageError(`--kernel is ${layer}, expected 0 to ${config.n_layer - 1}: a layer`);
  }
  const { tensors } = checkpoint;
  const prefix = `${stateDictPrefix(tensors)}backbone.layers.${layer}.mixer.`;
  const values = new Map<string, Float32Array>();
  for (const { name, dtype } of tensors.tensors.values()) {
    // Products are no part of it.
    if (!name.startsWith(prefix) || name.includes(".out.")) continue;
    values.set(name.slice(prefix.length), toFloat32(await tensors.read(name), dtype));
  }
  return mixer.kernels(config, (name) => {
    const found = values.get(name);
    if (found === undefined) throw new TypeError(`Cannot show a kernel: there is no ${name}`);
    return found;
  }, length);
}

/** A line a channel. */
function toText({ steps, kernels }: LayerKernels): string {
  const lines = kernels.map((kernel, d) => {
    const shown = Array.from(kernel.slice(0, SHOWN), (value) => value.toFixed(4).padStart(9));
    const rest = kernel.length > SHOWN ? " ..." : "";
    return `${String(d).padStart(7)}${(steps[d] ?? NaN).toFixed(5).padStart(10)}  ${
      shown.join("")
    }${rest}`;
  });
  return [`channel      step  K[0] K[1] ...`, ...lines].join("\n") + "\n";
}
