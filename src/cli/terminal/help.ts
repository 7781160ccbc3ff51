/** Help texts, made from what the parser uses. */

import type { CommandSpec, OptionSpec } from "./arguments.ts";

/** How the help says that the program is started. */
const PROGRAM = "deno run --allow-read infer.ts";

/** Columns before an option's explanation. */
const OPTION_COLUMN = 28;

/** The help of one command: usage, one example, every option with its default. */
export function commandHelp(spec: CommandSpec, program = PROGRAM): string {
  const lines = [
    spec.summary,
    "",
    `Usage: ${[program, spec.name, ...spec.positionals].filter(Boolean).join(" ")} [options]`,
    `Example: ${program} ${spec.example}`,
    "",
    ...(spec.details ?? []).flatMap((paragraph) => [paragraph, ""]),
    "Options:",
    ...spec.options.map(optionLine),
  ];
  return `${lines.join("\n")}\n`;
}

/** The help of the whole program: every command in one line. */
export function programHelp(specs: readonly CommandSpec[]): string {
  const lines = [
    "Streams Mamba models on WebGPU: text, images and series, one step at a time.",
    "",
    `Usage: ${PROGRAM} [command] [options]`,
    `Example: ${PROGRAM} ${specs[0]?.example ?? ""}`,
    "",
    "Commands:",
    ...specs.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`),
    "",
    "Without a command it is the demonstration. --version prints the version.",
    "A <model> is a folder with config.json and weights, a weights file in one, the URL of either, or a model of",
    "the hub: owner/name or owner/name@revision.",
    `Options of a command: ${PROGRAM} <command> --help`,
  ];
  return `${lines.join("\n")}\n`;
}

function optionLine({ name, value, help }: OptionSpec): string {
  const left = `  --${name}${value === undefined ? "" : ` ${value}`}`;
  return left.length < OPTION_COLUMN - 1
    ? left.padEnd(OPTION_COLUMN) + help
    : `${left}\n${" ".repeat(OPTION_COLUMN)}${help}`;
}
