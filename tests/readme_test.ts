import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { formatBytes } from "../src/cli/terminal/format.ts";
import { HUB_VARIABLES } from "../src/io/hub/settings.ts";
import { weightBytes } from "../src/model/weights/weight_specs.ts";
import { TASK_NAMES } from "../src/train/tasks/load_task.ts";
import { shapeConfig } from "../tools/bench/shapes.ts";
import { goldenPath } from "./golden_files.ts";

const ROOT = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));
const README = read("README.md");
const MANIFEST: {
  version: string;
  tasks: Record<string, string>;
  imports: Record<string, string>;
} = JSON.parse(read("deno.json"));

/** Texts of the fenced blocks in these languages. */
function blocks(...languages: string[]): string[] {
  const fences = README.matchAll(/^( *)```(\w+)[^\n]*\n(.*?)^\1```/gms);
  return [...fences].filter(([, , language = ""]) => languages.includes(language))
    .map(([, , , text = ""]) => text);
}

async function deno(args: string[], cwd: string | URL = ROOT): Promise<[number, string]> {
  return await run(Deno.execPath(), args, cwd);
}

/** A line of a shell, with this Deno. */
async function shell(line: string, cwd: string): Promise<[number, string]> {
  return await run("sh", ["-c", line], cwd);
}

async function run(command: string, args: string[], cwd: string | URL): Promise<[number, string]> {
  const own = Deno.execPath().replace(/[\\/][^\\/]*$/, "");
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    env: { NO_COLOR: "1", PATH: `${own}:${Deno.env.get("PATH") ?? ""}` },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return [code, decoder.decode(stdout) + decoder.decode(stderr)];
}

const PROGRAMS = blocks("ts").filter((text) => /from "[^"]*\/mod\.ts"/.test(text));

Deno.test("README.md shows how mod.ts is used", () => {
  assert(PROGRAMS.length > 0);
});

/** The program as it runs in any folder, on a golden checkpoint. */
function onGolden(program: string): string {
  const golden = goldenPath(/\.classify/.test(program) ? "classifier" : "mamba1");
  return program
    .replaceAll(/from "[^"]*\/mod\.ts"/g, `from "${new URL("mod.ts", ROOT)}"`)
    .replaceAll(/loadModel\("[^"]*"/g, `loadModel("${golden}"`);
}

Deno.test("README.md's programs type-check", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const names = PROGRAMS.map((_, index) => `${index + 1}.ts`);
    for (const [index, program] of PROGRAMS.entries()) {
      await Deno.writeTextFile(`${folder}/${names[index]}`, onGolden(program));
    }
    const [code, output] = await deno(["check", "--no-lock", ...names], folder);
    assertEquals(code, 0, output);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (const [index, program] of PROGRAMS.entries()) {
  Deno.test(`README.md's program ${index + 1} runs on a golden checkpoint`, async () => {
    const text = onGolden(program);
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/main.ts`, text);
      // A program that trains does so on this very file.
      await Deno.copyFile(new URL("README.md", ROOT), `${folder}/README.md`);
      const [code, output] = await deno(["run", "-A", "--no-lock", "main.ts"], folder);
      assertEquals(code, 0, `${text}\n${output}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** A shell line's commands, each as its words. */
function shellCommands(line: string): string[][] {
  const words = line.matchAll(/"([^"]*)"|'([^']*)'|([|;&]+)|([^\s|;&"']+)/g);
  const commands: string[][] = [[]];
  for (const [, double, single, separator, plain] of words) {
    if (separator !== undefined) commands.push([]);
    else commands.at(-1)?.push(double ?? single ?? plain ?? "");
  }
  return commands;
}

/** The lines of shell blocks, what is typed and what it prints. */
function shellLines(): string[] {
  return blocks("console", "sh", "bash", "shell").flatMap((text) =>
    text.replaceAll(/\\\n/g, " ").split("\n").filter((line) => !/^\s*#/.test(line))
  ).map((line) => line.replace(/^\s*\$ /, ""));
}

/** The commands of lines that start Deno, each as what Deno is given. */
function denoCommands(lines: readonly string[] = shellLines()): string[][] {
  return lines.flatMap(shellCommands).flatMap((words) => {
    if (words[0] === "npx") {
      const start = words.findIndex((word) => /^deno(@.*)?$/.test(word));
      assert(start > 0, `npx starts something else than deno: ${words.join(" ")}`);
      return [words.slice(start + 1)];
    }
    return words[0] === "deno" ? [words.slice(1)] : [];
  });
}

/** Names of the options among the words, up to what follows a `--`. */
function optionsIn(words: readonly string[]): string[] {
  const end = words.indexOf("--");
  return words.slice(0, end < 0 ? undefined : end)
    .filter((word) => /^--?[a-zA-Z]/.test(word)).map((word) => word.replace(/=.*/, ""));
}

/** Each option stands in the text as a word of its own. */
function assertListed(options: readonly string[], text: string, name: string): void {
  for (const option of options) {
    assertMatch(text, new RegExp(`(^|[\\s"'\`\\[])${option}(?![\\w-])`, "m"), `${name} ${option}`);
  }
}

const helps = new Map<string, Promise<[number, string]>>();

/** What a command says of itself, asked for once. */
function helpOf(...command: readonly string[]): Promise<[number, string]> {
  const key = command.join(" ");
  const help = helps.get(key) ?? deno([...command, "--help"]);
  helps.set(key, help);
  return help;
}

/** Checks `script args...`; a script named by URL is the one at the end of its path. */
async function checkScript(script: string, args: readonly string[]): Promise<void> {
  const path = /^https?:/.test(script) ? script.replace(/^.*\/(?=(tools\/)?[^/]+$)/, "") : script;
  if (path === "infer.ts" || path === "train.ts") {
    const command = path === "train.ts" ? [] : args.slice(0, args[0]?.startsWith("-") ? 0 : 1);
    const [code, help] = await helpOf("run", "-A", path, ...command);
    assertEquals(code, 0, `${script} ${command} --help: ${help}`);
    assertListed(optionsIn(args), `${help} --help`, `${script} ${command}`);
    return;
  }
  // The others are small enough to have no --help: what they take is in their source, or beside main.ts.
  const folder = new URL(path.endsWith("/main.ts") ? path.replace("main.ts", "") : ".", ROOT);
  const files = path.endsWith("/main.ts")
    ? [...Deno.readDirSync(folder)].map(({ name }) => new URL(name, folder))
    : [new URL(path, ROOT)];
  const source = files.map((file) => Deno.readTextFileSync(file)).join("\n");
  const names = optionsIn(args).map((option) => option.replace(/^-+/, "(--)?"));
  assertListed(names, source, script);
}

Deno.test("README.md's command lines name tasks, commands and options that exist", async () => {
  const commands = denoCommands();
  assert(commands.length > 0);
  for (const [subcommand = "", ...rest] of commands) {
    if (subcommand.startsWith("-")) {
      assertListed(optionsIn([subcommand]), (await helpOf())[1] + "--version", "deno");
      continue;
    }
    const [code, help] = await helpOf(subcommand);
    assertEquals(code, 0, `deno ${subcommand} does not exist`);
    if (subcommand !== "run" && subcommand !== "task") {
      assertListed(optionsIn(rest), help, `deno ${subcommand}`);
      continue;
    }
    const start = rest.findIndex((word) => !word.startsWith("-"));
    const [target = "", ...args] = rest.slice(start);
    assertListed(optionsIn(rest.slice(0, start)), help, `deno ${subcommand}`);
    if (subcommand === "run") {
      await checkScript(target, args);
      continue;
    }
    assert(target in MANIFEST.tasks, `there is no task ${target}`);
    // What is typed after a task's name goes to the last thing it runs.
    const [script] = /\S+\.ts(?=[^.]*$)/.exec(MANIFEST.tasks[target] ?? "") ?? [];
    if (script !== undefined && args.length > 0) await checkScript(script, args);
  }
});

/** What the README's lines about models of this repository need, so that they run in a copy as they stand. */
const COPIED = [
  "infer.ts",
  "deno.json",
  "LICENSE",
  "README.md",
  "src",
  "kernels",
  "weights",
  "tests/golden",
];

async function copy(from: URL, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await copy(new URL(name, `${from}/`), `${to}/${name}`);
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Whether this is infer.ts with a model of this repository, and done in seconds: no whole dataset. */
async function runsHere(words: readonly string[], folder: string): Promise<boolean> {
  const [target, command = "demo", model = ""] = words.slice(1).filter((w) => !w.startsWith("--"));
  if (words[0] !== "run" || target !== "infer.ts" || words.includes("--dataset")) return false;
  if (command === "demo") return await exists(`${folder}/weights/shakespeare/config.json`);
  return /^(tests|weights)\//.test(model) && await exists(`${folder}/${model}`);
}

Deno.test("README.md's command lines run on this repository's models, with the flags that they have", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const path of COPIED) await copy(new URL(path, ROOT), `${folder}/${path}`);
    let count = 0;
    for (const line of shellLines()) {
      const [command] = denoCommands([line]);
      if (command === undefined || !await runsHere(command, folder)) continue;
      const [code, output] = await shell(
        line.replaceAll(/\bdeno run /g, "deno run --no-lock --no-prompt "),
        folder,
      );
      assertEquals(code, 0, `${line}\n${output}`);
      count++;
    }
    assert(count >= 5, `only ${count} of them were found`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("docs/hub.md allows the hub to read its own variables", () => {
  assertStringIncludes(read("docs/hub.md"), `--allow-env=${HUB_VARIABLES}`);
});

Deno.test("docs/weights.md says what mamba-130m takes on the device in each dtype", () => {
  const [, head = "", row = ""] =
    /^\| mamba-130m on the device \|(.*)\|\n.*\n\| weights +\|(.*)\|$/m
      .exec(read("docs/weights.md")) ?? [];
  const cells = (text: string) => text.split("|").map((cell) => cell.trim());
  const expected = (["f32", "f16", "int8", "int4"] as const).map((
    dtype,
  ) => [dtype, formatBytes(weightBytes(shapeConfig("mamba-130m"), dtype))]);
  assertEquals(cells(head).map((dtype, i) => [dtype, cells(row)[i]]), expected);
});

Deno.test("docs/training.md lists the tasks that there are, and README.md names the Deno that CI runs", () => {
  const [, tasks = ""] = /^Tasks: (.*?)[.;]\s/ms.exec(read("docs/training.md")) ?? [];
  assertEquals([...tasks.matchAll(/`([^`]+)`/g)].map(([, name]) => name), [...TASK_NAMES]);
  const [, version] = /^DENO_VERSION=(.+)$/m.exec(read(".ci/run")) ?? [];
  const named = new Set([...README.matchAll(/deno@([\d.]+)/g)].map(([, found]) => found));
  assertEquals([...named], [version]);
});

Deno.test("CHANGELOG.md has a section of deno.json's version", () => {
  const headings = read("CHANGELOG.md").split("\n").filter((line) => line.startsWith("## "));
  const versions = headings.map((line) => /\d+\.\d+\.\d+[^\s\])]*/.exec(line)?.[0]);
  assert(versions.includes(MANIFEST.version), `it has ${versions}, and not ${MANIFEST.version}`);
});

/** All modules that are published: those under src and beside it. */
function publishedModules(folder: URL = ROOT): URL[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const isSource = folder.href !== ROOT.href || name === "src";
    if (isDirectory) return isSource ? publishedModules(new URL(`${name}/`, folder)) : [];
    return name.endsWith(".ts") ? [new URL(name, folder)] : [];
  });
}

Deno.test("README.md names every npm package that src needs, with its version", () => {
  const sources = publishedModules().map((module) => Deno.readTextFileSync(module)).join("\n");
  const mapped = Object.entries(MANIFEST.imports)
    .filter(([name]) => sources.includes(`from "${name}"`)).map(([, target]) => `"${target}`);
  // Data sets are named without "npm:", as their packages are only looked for when asked for.
  const specifiers = [sources, ...mapped].join("\n")
    .matchAll(/"(?:npm:)?((?:@[\w.-]+\/)?[a-z][\w.-]*)@(\d+\.\d+\.\d+)/g);
  const packages = new Set([...specifiers].map(([, name, version]) => `${name} ${version}`));
  assert(packages.size >= 3, [...packages].join());
  const plain = README.replaceAll(/[@`\[(|]+/g, " ").replaceAll(/ +/g, " ");
  const absent = [...packages].filter((named) => !plain.includes(named.replace(/^@/, "")));
  assertEquals(absent, []);
});

Deno.test("README.md is read in three minutes", () => {
  assert(README.split("\n").length <= 160, "it is longer than 160 lines: the manual is docs/");
});
