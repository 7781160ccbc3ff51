/** The inference program: finds the command, runs it, and turns errors into one line and an exit code. */

import {
  type Arguments,
  type CommandSpec,
  parseArguments,
  UsageError,
} from "../terminal/arguments.ts";
import { backendSettings } from "../terminal/backend_options.ts";
import { CLASSIFY, classify } from "./classify.ts";
import { DEMO, demo } from "./demo/demo.ts";
import { describeError } from "../terminal/describe_error.ts";
import { doctor } from "./doctor/doctor.ts";
import { GENERATE, generate } from "./generate.ts";
import { commandHelp, programHelp } from "../terminal/help.ts";
import { INSPECT, inspect } from "./inspect.ts";
import { SCORE, score } from "./score/score.ts";
import { asksForVersion, versionLine } from "../terminal/version.ts";
import { processTerminal, type Terminal } from "../terminal/terminal.ts";

interface Command {
  readonly spec: CommandSpec;
  /** Gives the exit code, 0 if nothing. */
  readonly run: (args: Arguments, terminal: Terminal) => Promise<number | void>;
}

const DOCTOR: CommandSpec = {
  name: "doctor",
  summary: "Describes what models run on, and checks every kernel there against a float64 oracle.",
  positionals: [],
  required: 0,
  example: "doctor",
  options: [
    {
      name: "backend",
      value: "NAME",
      help: "auto, webgpu or cpu (default auto: all there is)",
    },
    { name: "threads", value: "N", help: "Threads on the CPU (default: one a core)" },
    { name: "json", help: "Print one JSON object" },
    { name: "help", help: "Show this help" },
  ],
};

const COMMANDS: readonly Command[] = [
  { spec: GENERATE, run: generate },
  { spec: CLASSIFY, run: classify },
  { spec: SCORE, run: score },
  { spec: INSPECT, run: inspect },
  {
    spec: DOCTOR,
    run: (args, terminal) =>
      doctor({
        ...backendSettings(args),
        json: args.has("json"),
        write: (text) => terminal.write(text),
      }),
  },
  { spec: DEMO, run: (args, terminal) => demo(args, terminal) },
];

/**
 * Runs the program.
 *
 * @param args The command line after the program's name.
 * @param terminal Where it reads and writes; the process's own streams if left out.
 * @returns The exit code: 0, 1 for a failure, 2 for a command line that does not follow the usage, 130 after
 * Ctrl-C.
 */
export async function infer(
  args: readonly string[],
  terminal: Terminal = processTerminal(),
): Promise<number> {
  if (asksForVersion(args)) {
    terminal.write(versionLine());
    return 0;
  }
  const [name, ...rest] = withCommand(args);
  try {
    return await dispatch(name, rest, terminal);
  } catch (error) {
    // Whoever read the result has seen enough, as in `| head`.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    terminal.writeError(`${describeError(error, `run ${name}`)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Names the demonstration where no command is named. */
function withCommand(args: readonly string[]): [string, ...string[]] {
  const [first, ...rest] = args;
  if (first === undefined) return [DEMO.name];
  return first.startsWith("-") && !isHelp(first) ? [DEMO.name, ...args] : [first, ...rest];
}

function isHelp(arg: string): boolean {
  return arg === "--help" || arg === "-h";
}

async function dispatch(
  name: string,
  rest: readonly string[],
  terminal: Terminal,
): Promise<number> {
  if (isHelp(name) || name === "help") {
    terminal.write(programHelp(COMMANDS.map(({ spec }) => spec)));
    return 0;
  }
  const command = COMMANDS.find(({ spec }) => spec.name === name);
  if (command === undefined) {
    const names = COMMANDS.map(({ spec }) => spec.name).join(", ");
    throw new UsageError(`Cannot run "${name}": the commands are ${names}`);
  }
  // Help is given however incomplete the rest is; after "--" it would be an argument.
  const end = rest.indexOf("--");
  if ((end < 0 ? rest : rest.slice(0, end)).some(isHelp)) {
    terminal.write(commandHelp(command.spec));
    return 0;
  }
  return await command.run(parseArguments(command.spec, rest), terminal) ?? 0;
}
