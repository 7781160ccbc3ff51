// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Checks that imports point downwards only, as ARCHITECTURE.md draws it:
 *
 *     commands (infer.ts, train.ts, src/cli), page (src/web) > engine, train > webgpu, cpu > passes, (ops > gpu) > model
 *
 * `io` stands beside and imports none of these; `runtime` is below all; only ops imports kernels/*.wgsl; mod.ts holds no code, and what it reaches
 * is named by path or by full version. Some layers must not even reach WebGPU through others, but by the dynamic imports
 * that pick an executor.
 *
 *     deno run -A tools/lint_layers.ts [ROOT]
 *
 * Prints one line for each violation and exits 1 if there is one.
 */

import { answerHelp } from "./help.ts";

/** Which layers each may import besides itself. Type imports count: they tie the layers just as well. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  model: [],
  gpu: ["model"],
  ops: ["gpu", "kernels", "model"],
  passes: ["model"],
  webgpu: ["model", "passes", "ops", "gpu"],
  cpu: ["model", "passes"],
  io: [],
  engine: ["model", "io"],
  train: ["model", "io"],
  checks: ["model", "passes", "webgpu", "cpu", "ops", "gpu"],
  mod: ["engine", "train", "checks", "model", "io"],
  web: ["mod", "engine", "train", "checks", "model", "cpu", "io"],
  cli: ["mod", "engine", "train", "checks", "model", "webgpu", "ops", "gpu", "io"],
};

/** What any layer may import: it takes the place of what some runtimes lack. */
const GROUND = "runtime";

/** Layers that belong to WebGPU. */
const WEBGPU_LAYERS: readonly string[] = ["webgpu", "ops", "gpu", "kernels"];

/** Layers that must not reach those, through however many files: they serve any executor, and a page without a GPU. */
const WITHOUT_WEBGPU: readonly string[] = ["model", "passes", "io", "cpu", "engine", "train"];

/** Files that pick an executor, by dynamic imports of these layers: what is behind them is loaded only when it is used. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  "src/engine/load_model.ts": ["webgpu", "cpu"],
  "src/train/open_executor.ts": ["webgpu", "cpu"],
};

/** The parts of `deno info --json` that are used here. */
interface ModuleGraph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly Dependency[];
  }[];
}

interface Dependency {
  readonly specifier: string;
  readonly isDynamic?: boolean;
  readonly code?: Resolution;
  readonly type?: Resolution;
}

interface Resolution {
  readonly specifier?: string;
  readonly span: { readonly start: { readonly line: number } };
}

/** One import: paths are relative to the root, with "/" between names. */
interface Import {
  readonly from: string;
  readonly line: number;
  readonly specifier: string;
  /** `undefined` where the target is not a file under the root. */
  readonly to: string | undefined;
  readonly isDynamic: boolean;
}

/**
 * Finds what breaks the rules above in a repository.
 *
 * @param root Directory that holds mod.ts, infer.ts, train.ts and src; each may be absent.
 * @returns One line a violation, sorted; empty where all is well.
 */
export async function findViolations(root: string): Promise<string[]> {
  const files = (await sourceFiles(root)).sort();
  const imports = await collectImports(root, files);
  const violations = imports.flatMap((one) => checkLayer(one));
  violations.push(...files.flatMap((file) => checkReach(file, imports)));
  violations.push(...checkPublicNames(imports));
  if (files.includes("mod.ts")) {
    violations.push(...checkNoCode(await Deno.readTextFile(`${root}/mod.ts`)));
  }
  return violations.sort();
}

async function sourceFiles(root: string): Promise<string[]> {
  const files: string[] = [];
  for (const name of ["mod.ts", "infer.ts", "train.ts"]) {
    if (await Deno.stat(`${root}/${name}`).then((info) => info.isFile, () => false)) {
      files.push(name);
    }
  }
  const directories = ["src"];
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    try {
      for await (const entry of Deno.readDir(`${root}/${directory}`)) {
        const path = `${directory}/${entry.name}`;
        if (entry.isDirectory) directories.push(path);
        else if (entry.name.endsWith(".ts")) files.push(path);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return files;
}

/** The imports of all files, asking Deno about a file only where no earlier one led to it. */
async function collectImports(root: string, files: readonly string[]): Promise<Import[]> {
  const base = directoryUrl(await Deno.realPath(root));
  const imports: Import[] = [];
  const seen = new Set<string>();
  for (const file of files) {
    if (seen.has(file)) continue;
    for (const module of (await moduleGraph(root, file)).modules) {
      const from = pathUnder(base, module.specifier);
      if (from === undefined || seen.has(from)) continue;
      seen.add(from);
      for (const dependency of module.dependencies ?? []) {
        const target = dependency.code ?? dependency.type;
        imports.push({
          from,
          line: (target?.span.start.line ?? 0) + 1,
          specifier: dependency.specifier,
          to: target?.specifier === undefined ? undefined : pathUnder(base, target.specifier),
          isDynamic: dependency.isDynamic ?? false,
        });
      }
    }
  }
  return imports;
}

async function moduleGraph(root: string, file: string): Promise<ModuleGraph> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-lock", file],
    cwd: root,
  }).output();
  if (code !== 0) {
    throw new Error(`Cannot read the imports of ${file}: ${new TextDecoder().decode(stderr)}`);
  }
  return JSON.parse(new TextDecoder().decode(stdout));
}

function directoryUrl(path: string): string {
  const url = new URL("file:///");
  url.pathname = path.replaceAll("\\", "/") + "/";
  return url.href;
}

function pathUnder(base: string, specifier: string): string | undefined {
  return specifier.startsWith(base) ? decodeURI(specifier.slice(base.length)) : undefined;
}

/** The layer of a file, or `undefined` for those that have none, such as deno.json. */
function layerOf(path: string): string | undefined {
  if (path === "mod.ts") return "mod";
  if (path === "infer.ts" || path === "train.ts" || path.startsWith("src/cli/")) return "cli";
  if (/^kernels\/.*\.wgsl$/.test(path)) return "kernels";
  if (/^(tests|tools)\//.test(path)) return path.slice(0, path.indexOf("/"));
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

function checkLayer(one: Import): string[] {
  const { from, line, to } = one;
  if (to === undefined || isDoor(one)) return [];
  const layer = layerOf(from);
  const target = layerOf(to);
  // Tests and tools stand above everything, and are only seen here when something wrongly imports them.
  if (layer === undefined || layer === "tests" || layer === "tools") return [];
  if (target === undefined || target === layer || target === GROUND) return [];
  const allowed = MAY_IMPORT[layer];
  if (allowed === undefined) {
    return [`${from}:${line}: src/${layer} is not a layer that tools/lint_layers.ts knows`];
  }
  if (allowed.includes(target)) return [];
  const names = allowed.length === 0 ? "no other layer" : `only ${allowed.join(", ")}`;
  return [`${from}:${line}: imports ${to}, and ${layer} may import ${names}`];
}

function isDoor({ from, to = "", isDynamic }: Import): boolean {
  return isDynamic && (DOORS[from]?.includes(layerOf(to) ?? "") ?? false);
}

/** What a file reaches through others; its own imports are {@linkcode checkLayer}'s. */
function checkReach(file: string, imports: readonly Import[]): string[] {
  const layer = layerOf(file) ?? "";
  if (!WITHOUT_WEBGPU.includes(layer)) return [];
  const paths = new Map([[file, [file]]]);
  // A Map's iteration also visits what is added meanwhile.
  for (const [from, path] of paths) {
    for (const one of imports) {
      if (one.from !== from || one.to === undefined || paths.has(one.to) || isDoor(one)) continue;
      const chain = [...path, one.to];
      if (!WEBGPU_LAYERS.includes(layerOf(one.to) ?? "")) paths.set(one.to, chain);
      else if (path.length > 1) {
        return [
          `${file}: reaches ${chain.slice(1).join(" > ")}, and ${layer} must not reach WebGPU`,
        ];
      }
    }
  }
  return [];
}

/** A module imported by URL has no import map: under mod.ts, a bare name would work in this repository alone. */
function checkPublicNames(imports: readonly Import[]): string[] {
  const reached = new Set(["mod.ts"]);
  // A Set's iteration also visits what is added meanwhile.
  for (const file of reached) {
    for (const one of imports) if (one.from === file && one.to !== undefined) reached.add(one.to);
  }
  return imports
    .filter((one) => reached.has(one.from) && !isPortable(one.specifier))
    .map(({ from, line, specifier }) =>
      `${from}:${line}: imports "${specifier}", and mod.ts reaches it: ` +
      'use a relative path or "npm:name@version"'
    );
}

function isPortable(specifier: string): boolean {
  return /^\.\.?\//.test(specifier) || /^(npm|jsr):(@[^/@]+\/)?[^/@]+@\d/.test(specifier) ||
    /^(https|node):/.test(specifier);
}

/** mod.ts is documentation and re-exports: anything else would be code that no layer owns. */
function checkNoCode(text: string): string[] {
  const blank = (comment: string) => comment.replace(/[^\n]/g, " ");
  const code = text.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/^\s*\/\/.*$/gm, blank);
  const rest = code.replace(
    /export\s+(type\s+)?(\*(\s+as\s+\w+)?|\{[^{}]*\})\s*from\s*("[^"\n]*"|'[^'\n]*')\s*;?/g,
    blank,
  );
  const at = rest.search(/\S/);
  if (at < 0) return [];
  const line = rest.slice(0, at).split("\n").length;
  const found = rest.slice(at).split("\n", 1)[0];
  return [`mod.ts:${line}: holds code (${found}), and only re-exports belong there`];
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  const violations = await findViolations(Deno.args[0] ?? ".");
  for (const violation of violations) console.error(violation);
  if (violations.length > 0) Deno.exit(1);
}
