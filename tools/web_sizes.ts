/** How large what a reader downloads is: of a page that was built, by its own files. */

/** Sizes in bytes. */
export interface WebSizes {
  /** mod.ts and all that it needs, as one file, minified. */
  readonly bundle: number;
  /** The WebAssembly module, by build. */
  readonly modules: Readonly<Record<string, number>>;
  /** All that is sent until the page says its first digit, on the CPU with threads. */
  readonly firstResult: number;
  /** What comes on top where the digit is read on WebGPU. */
  readonly webgpu: number;
}

const ROOT = new URL("..", import.meta.url);

/** Builds of the module: see tools/build_cpu.ts. */
const BUILDS = ["relaxed_threads", "relaxed", "plain"];

/** What the first digit needs beside code: the model, and the images to choose from. */
const FIRST_FILES = [
  ...["index.html", "weights/mnist/config.json", "weights/mnist/model.safetensors"],
  ...Array.from({ length: 10 }, (_, digit) => `weights/mnist/digits/${digit}.png`),
];

/** Measures a page that was built into a folder. */
export async function webSizes(folder: string): Promise<WebSizes> {
  const scripts = new Map<string, string>();
  for await (const { name } of Deno.readDir(folder)) {
    if (name.endsWith(".js")) scripts.set(name, await Deno.readTextFile(`${folder}/${name}`));
  }
  const sinks = [...scripts.keys()].filter((name) => name.startsWith("weight_sink-"));
  const threads = [...scripts.keys()].find((name) => name.startsWith("relaxed_threads-"));
  const isCpus = (name: string) => reached(scripts, [name]).has(dynamicDoor(scripts, threads));
  const cpu = sinks.find(isCpus), webgpu = sinks.find((name) => !isCpus(name));
  if (cpu === undefined || webgpu === undefined || threads === undefined) {
    throw new Error(`Cannot measure the page in "${folder}": it has no executor of each kind`);
  }
  const first = reached(scripts, ["page.js", "engine_worker.js", cpu, threads]);
  const more = [...reached(scripts, [webgpu])].filter((name) => !first.has(name));
  const modules = BUILDS.map(async (build) => {
    const { MODULE } = await import(`../kernels/cpu/${build}.ts`);
    return [build, Uint8Array.fromBase64(MODULE).length] as const;
  });
  return {
    bundle: await bundleSize(),
    modules: Object.fromEntries(await Promise.all(modules)),
    firstResult: await sizeOf(folder, [...FIRST_FILES, ...first]),
    webgpu: await sizeOf(folder, more),
  };
}

/** The sizes in words, a line each. */
export function describeSizes({ bundle, modules, firstResult, webgpu }: WebSizes): string[] {
  const builds = BUILDS.map((build) => kilobytes(modules[build] ?? 0)).join(" / ");
  return [
    `mod.ts as one file, minified                                  ${kilobytes(bundle)} kB`,
    `WebAssembly with threads / without / without relaxed SIMD     ${builds} kB`,
    `the page until its first digit, on the CPU                    ${kilobytes(firstResult)} kB`,
    `the same on WebGPU, so much more                              ${kilobytes(webgpu)} kB`,
  ];
}

function kilobytes(bytes: number): number {
  return Math.round(bytes / 1000);
}

/** The scripts that these load before they run, and themselves. */
function reached(scripts: ReadonlyMap<string, string>, names: readonly string[]): Set<string> {
  const all = new Set(names);
  // A Set's iteration also visits what is added meanwhile.
  for (const name of all) {
    const imports = (scripts.get(name) ?? "").matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g);
    for (const [, imported = ""] of imports) all.add(imported);
  }
  return all;
}

/** The script that loads another when it is needed. */
function dynamicDoor(scripts: ReadonlyMap<string, string>, name = ""): string {
  const door = [...scripts].find(([, text]) => text.includes(`import("./${name}")`));
  return door?.[0] ?? "";
}

async function sizeOf(folder: string, names: readonly string[]): Promise<number> {
  const infos = await Promise.all(names.map((name) => Deno.stat(`${folder}/${name}`)));
  return infos.reduce((sum, { size }) => sum + size, 0);
}

async function bundleSize(): Promise<number> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "browser", "--minify", "mod.ts"],
    cwd: ROOT,
  }).output();
  if (code !== 0) throw new Error(`Cannot bundle mod.ts: ${new TextDecoder().decode(stderr)}`);
  return stdout.length;
}
