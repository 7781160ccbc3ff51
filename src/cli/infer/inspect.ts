/** `infer.ts inspect`: what a checkpoint or a snapshot holds, from its headers, without a GPU. */

import { readConfig, withOwnEnds } from "../../engine/read_config.ts";
import { decodeSnapshot } from "../../engine/snapshot.ts";
import { type Checkpoint, openCheckpoint } from "../../io/checkpoint.ts";
import { stateDictPrefix } from "../../io/state_dict.ts";
import type { TensorInfo } from "../../io/tensor_file.ts";
import { parseQuantization } from "../../model/config/quantization.ts";
import { stateBytes } from "../../model/state_layout.ts";
import { familyOf } from "../../model/mixers/mixers.ts";
import { parameterCount, weightBytes } from "../../model/weights/weight_specs.ts";
import type { FloatDType, MatrixDType } from "../../model/weights/dtype.ts";
import type { Arguments, CommandSpec } from "../terminal/arguments.ts";
import { formatBytes, formatCount } from "../terminal/format.ts";
import { inspectKernel } from "./inspect_kernel.ts";
import { LoadLine } from "./load_line.ts";
import type { Terminal } from "../terminal/terminal.ts";

/** What the parser and the help know of this command. */
export const INSPECT: CommandSpec = {
  name: "inspect",
  summary: "Shows what a model or a saved state holds: config, tensors, sizes. Needs no GPU.",
  positionals: ["<model | snapshot>"],
  required: 1,
  example: "inspect ./mamba-130m-hf",
  options: [
    { name: "json", help: "Print one JSON object" },
    { name: "kernel", value: "LAYER", help: "What a layer of S4 convolves with, and a plot of it" },
    { name: "length", value: "N", help: "Steps of that (default: 784)" },
    { name: "svg", value: "FILE", help: "Where the plot goes (default: kernel-LAYER.svg)" },
    { name: "help", help: "Show this help" },
  ],
};

/** What weights are shown as; bf16 takes what f16 does. */
const DTYPES: readonly MatrixDType[] = ["f32", "f16", "int8", "int4"];

/** Runs the command. */
export async function inspect(args: Arguments, terminal: Terminal): Promise<void> {
  const [source = ""] = args.positionals;
  using checkpoint = await openWithLine(source, terminal);
  if (args.text("kernel") !== undefined) return await inspectKernel(checkpoint, args, terminal);
  const { tensors } = checkpoint;
  const isSnapshot = tensors.metadata.get("format")?.startsWith("slither-snapshot") ?? false;
  const facts = isSnapshot ? await describeSnapshot(source) : await describeModel(checkpoint);
  const list = [...tensors.tensors.values()]
    .map(({ name, dtype, shape, sizeBytes }) => ({ name, dtype, shape, sizeBytes }));
  terminal.write(
    args.has("json") ? `${toJson({ ...facts, tensors: list })}\n` : toText(facts, list),
  );
}

/** From a hub all of it is downloaded: what is looked at is mostly what is used next. */
async function openWithLine(source: string, terminal: Terminal): Promise<Checkpoint> {
  using line = new LoadLine(terminal);
  return await openCheckpoint(source, { onDownload: (step) => line.update(step) });
}

/** What is said beside the tensors; sizes are in bytes. */
interface Facts {
  readonly kind: "model" | "snapshot" | "tensors";
  readonly family?: string;
  readonly parameters?: number;
  /** How the file has the matrices, and so how they are kept on the device unless --dtype says otherwise. */
  readonly dtype?: MatrixDType;
  readonly tensorBytes: number;
  /** What the weights take on the device, by dtype. */
  readonly deviceBytes?: Readonly<Record<string, number>>;
  readonly stateBytes?: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly config?: unknown;
  readonly sampler?: unknown;
}

async function describeModel(checkpoint: Checkpoint): Promise<Facts> {
  const { config: json, tensors: file } = checkpoint;
  const prefix = stateDictPrefix(file);
  const own = [...file.tensors.values()].filter(({ name }) => name.startsWith(prefix));
  const metadata = Object.fromEntries(file.metadata);
  const tensorBytes = own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (json === undefined) return { kind: "tensors", tensorBytes, metadata };
  const config = await withOwnEnds(readConfig(checkpoint), checkpoint);
  return {
    kind: "model",
    family: familyOf(config).family.title,
    parameters: parameterCount(config),
    dtype: parseQuantization(json) ?? storedDType(own),
    tensorBytes,
    deviceBytes: Object.fromEntries(DTYPES.map((dtype) => [dtype, weightBytes(config, dtype)])),
    stateBytes: stateBytes(config),
    metadata,
    config,
  };
}

/** The type of most bytes: vectors may have another. */
function storedDType(tensors: readonly TensorInfo[]): FloatDType {
  const bytes = new Map<string, number>();
  for (const { dtype, sizeBytes } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + sizeBytes);
  const [most] = [...bytes].sort(([, a], [, b]) => b - a)[0] ?? [];
  return most === "F16" ? "f16" : most === "BF16" ? "bf16" : "f32";
}

async function describeSnapshot(path: string): Promise<Facts> {
  const { state, sampler, ...rest } = await decodeSnapshot(await Deno.readFile(path), path);
  const sizes = state.map(({ name, bytes }) => ({ name, sizeBytes: bytes.byteLength }));
  const sum = (list: readonly { sizeBytes: number }[]) =>
    list.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  return {
    kind: "snapshot",
    tensorBytes: sum(sizes),
    stateBytes: sum(
      sizes.filter(({ name }) => name.startsWith("layers.") || name === "pool_state"),
    ),
    metadata: Object.fromEntries(
      Object.entries(rest).map((
        [key, value],
      ) => [key, value === undefined ? "none" : String(value)]),
    ),
    sampler,
  };
}

function toText(
  facts: Facts,
  tensors: readonly { name: string; dtype: string; shape: readonly number[] }[],
): string {
  const rows: [string, string][] = [["kind", facts.kind]];
  if (facts.family !== undefined) rows.push(["family", facts.family]);
  if (facts.parameters !== undefined) rows.push(["parameters", formatCount(facts.parameters)]);
  if (facts.dtype !== undefined) rows.push(["dtype", facts.dtype]);
  rows.push(["tensors", `${tensors.length}, ${formatBytes(facts.tensorBytes)}`]);
  if (facts.deviceBytes !== undefined) {
    const sizes = Object.entries(facts.deviceBytes)
      .map(([dtype, bytes]) => `${formatBytes(bytes)} as ${dtype}`);
    rows.push(["device", `${sizes.join(", ")}; with 0.3 GB to work in`]);
  }
  if (facts.stateBytes !== undefined) {
    rows.push(["state", `${formatCount(facts.stateBytes)} bytes a session, at any length`]);
  }
  for (const part of [facts.config, facts.sampler, facts.metadata]) {
    for (const [key, value] of Object.entries(part ?? {})) rows.push([key, toValue(value)]);
  }
  const width = Math.max(...rows.map(([key]) => key.length)) + 2;
  const names = Math.max(0, ...tensors.map(({ name }) => name.length)) + 2;
  return [
    ...rows.map(([key, value]) => key.padEnd(width) + value),
    "",
    ...tensors.map(({ name, dtype, shape }) =>
      `${name.padEnd(names)}${dtype.padEnd(6)}[${shape.join(", ")}]`
    ),
  ].join("\n") + "\n";
}

function toValue(value: unknown): string {
  return typeof value === "string" ? value : toJson(value);
}

/** JSON has no infinity, which the limits of dt may be. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_, part) => part === Infinity ? "Infinity" : part);
}
