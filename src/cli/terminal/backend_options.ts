/** The options that say what runs or trains a model. */

import type { LoadOptions } from "../../engine/load_model.ts";
import type { Arguments, OptionSpec } from "./arguments.ts";

const BACKENDS = ["auto", "webgpu", "cpu"] as const;

/** As many as the CPU executor can share its memory with. */
const MOST_THREADS = 256;

/** `--backend`. */
export const BACKEND_OPTION: OptionSpec = {
  name: "backend",
  value: "NAME",
  help: "auto, webgpu or cpu (default auto: a GPU, or else the CPU)",
};

/** Reads `--backend` and `--threads`. */
export function backendSettings(args: Arguments): Pick<LoadOptions, "backend" | "threads"> {
  return {
    backend: args.word("backend", BACKENDS) ?? "auto",
    threads: args.integer("threads", { min: 1, max: MOST_THREADS }),
  };
}
