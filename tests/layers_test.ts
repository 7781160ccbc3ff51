import { assertEquals } from "@std/assert";
import { findViolations } from "../tools/lint_layers.ts";

const ROOT = decodeURI(new URL("..", import.meta.url).pathname);

/** Checks a repository made of these files, by path. */
async function violationsIn(files: Readonly<Record<string, string>>): Promise<string[]> {
  const root = await Deno.makeTempDir({ prefix: "layers_test_" });
  try {
    for (const [path, text] of Object.entries(files)) {
      const directory = path.slice(0, path.lastIndexOf("/") + 1);
      await Deno.mkdir(`${root}/${directory}`, { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    }
    return await findViolations(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** The smallest module of each layer. */
const LEAVES = {
  "src/gpu/device.ts": "export const device = 1;\n",
  "src/io/bytes.ts": "export const bytes = 1;\n",
  "src/model/config.ts": "export interface Config {}\nexport const config = 1;\n",
  "src/engine/session.ts": "export const session = 1;\n",
  "src/cpu/executor.ts": "export const executor = 1;\n",
  "src/train/trainer.ts": "export const trainer = 1;\n",
  "src/cli/main.ts": "export const main = 1;\n",
  "kernels/add_fwd.wgsl": "// add_fwd\n",
};

Deno.test("findViolations() finds none in this repository", async () => {
  assertEquals(await findViolations(ROOT), []);
});

Deno.test("findViolations() accepts every import that points downwards", async () => {
  assertEquals(
    await violationsIn({
      ...LEAVES,
      "deno.json": '{ "version": "0.1.0" }',
      "mod.ts": '/** Doc with `const x = 1;`. */\n\nexport { a } from "./src/engine/a.ts";\n' +
        '// One more.\nexport type { Config } from "./src/model/config.ts";\n' +
        'export * from "./src/train/trainer.ts";\n',
      "infer.ts": 'import "./src/cli/main.ts";\nimport "./mod.ts";\n',
      "src/ops/add.ts": 'import "../gpu/device.ts";\n' +
        'import text from "../../kernels/add_fwd.wgsl" with { type: "text" };\nexport { text };\n',
      "src/webgpu/executor.ts": 'import "../ops/add.ts";\nimport "../gpu/device.ts";\n' +
        'import "../model/config.ts";\n',
      "src/passes/forward.ts": 'import "../model/config.ts";\n',
      "src/cpu/platform.ts": 'import "../model/config.ts";\nimport "../passes/forward.ts";\n',
      "src/train/open_executor.ts": 'export const open = () => import("../webgpu/executor.ts");\n',
      "src/train/task.ts": 'import "../io/bytes.ts";\nimport "../model/config.ts";\n',
      "src/engine/load_model.ts": 'export const open = () => import("../webgpu/executor.ts");\n',
      "src/engine/a.ts": 'import "../io/bytes.ts";\nimport "../model/config.ts";\n' +
        'import "./session.ts";\n' +
        'import about from "../../deno.json" with { type: "json" };\nexport const a = about;\n',
    }),
    [],
  );
});

Deno.test("findViolations() names each import that points upwards, sideways or outwards", async () => {
  const cases: [path: string, target: string, allowed: string][] = [
    ["src/gpu/bad.ts", "src/io/bytes.ts", "gpu may import only model"],
    ["src/io/bad.ts", "src/model/config.ts", "io may import no other layer"],
    ["src/ops/bad.ts", "src/engine/session.ts", "ops may import only gpu, kernels, model"],
    ["src/model/bad.ts", "src/io/bytes.ts", "model may import no other layer"],
    ["src/model/bad.ts", "src/engine/session.ts", "model may import no other layer"],
    ["src/model/bad.ts", "src/cpu/executor.ts", "model may import no other layer"],
    ["src/model/bad.ts", "src/gpu/device.ts", "model may import no other layer"],
    ["src/webgpu/bad.ts", "src/io/bytes.ts", "webgpu may import only model, passes, ops, gpu"],
    ["src/passes/bad.ts", "src/cpu/executor.ts", "passes may import only model"],
    ["src/cpu/bad.ts", "src/gpu/device.ts", "cpu may import only model, passes"],
    [
      "src/engine/bad.ts",
      "src/cli/main.ts",
      "engine may import only model, io",
    ],
    [
      "src/train/bad.ts",
      "src/engine/session.ts",
      "train may import only model, io",
    ],
    [
      "src/train/bad.ts",
      "src/cpu/executor.ts",
      "train may import only model, io",
    ],
    [
      "infer.ts",
      "src/cpu/executor.ts",
      "cli may import only mod, engine, train, checks, model, webgpu, ops, gpu, io",
    ],
  ];
  for (const [path, target, allowed] of cases) {
    const up = path.includes("/") ? "../.." : ".";
    assertEquals(
      await violationsIn({ ...LEAVES, [path]: `// A comment.\nimport "${up}/${target}";\n` }),
      [`${path}:2: imports ${target}, and ${allowed}`],
    );
  }
});

Deno.test("findViolations() sees type imports, dynamic imports and re-exports", async () => {
  for (
    const line of [
      'import type { Config } from "../model/config.ts"; export const x = {} as Config;',
      'export const x = await import("../model/config.ts");',
      'export * from "../model/config.ts";',
    ]
  ) {
    assertEquals(await violationsIn({ ...LEAVES, "src/io/bad.ts": `${line}\n` }), [
      "src/io/bad.ts:1: imports src/model/config.ts, and io may import no other layer",
    ]);
  }
});

Deno.test("findViolations() allows kernels in ops alone", async () => {
  const line = 'import text from "../../kernels/add_fwd.wgsl" with { type: "text" };\n';
  const text = `${line}export { text };\n`;
  assertEquals(await violationsIn({ ...LEAVES, "src/webgpu/bad.ts": text }), [
    "src/webgpu/bad.ts:1: imports kernels/add_fwd.wgsl, and webgpu may import only model, passes, ops, gpu",
  ]);
});

Deno.test("findViolations() names what a layer without WebGPU reaches through others", async () => {
  assertEquals(
    await violationsIn({
      ...LEAVES,
      "src/model/bad.ts": 'import "../gpu/device.ts";\n',
      "src/model/between.ts": 'export * from "./bad.ts";\n',
      "src/cpu/forward.ts": 'import type {} from "../model/between.ts";\n',
    }),
    [
      "src/cpu/forward.ts: reaches src/model/between.ts > src/model/bad.ts > src/gpu/device.ts, " +
      "and cpu must not reach WebGPU",
      "src/model/bad.ts:1: imports src/gpu/device.ts, and model may import no other layer",
      "src/model/between.ts: reaches src/model/bad.ts > src/gpu/device.ts, and model must not reach WebGPU",
    ],
  );
});

Deno.test("findViolations() has one door to executors, and only a dynamic import goes through it", async () => {
  const files = (line: string) => ({
    ...LEAVES,
    "src/webgpu/open.ts": 'import "../gpu/device.ts";\n',
    "src/engine/load_model.ts": `${line}\n`,
  });
  assertEquals(
    await violationsIn(files('export const open = () => import("../webgpu/open.ts");')),
    [],
  );
  assertEquals(
    await violationsIn({
      ...files('export const open = () => import("../cli/main.ts");'),
      "src/model/load_model.ts": 'export const open = () => import("../webgpu/open.ts");\n',
    }),
    [
      "src/engine/load_model.ts:1: imports src/cli/main.ts, " +
      "and engine may import only model, io",
      "src/model/load_model.ts:1: imports src/webgpu/open.ts, and model may import no other layer",
    ],
  );
});

Deno.test("findViolations() refuses tests, tools and unknown layers under src", async () => {
  assertEquals(
    await violationsIn({
      ...LEAVES,
      "tools/tool.ts": "export const tool = 1;\n",
      "src/gpu/bad.ts": 'import "../../tools/tool.ts";\n',
      "src/extra/new.ts": 'import "../gpu/device.ts";\n',
    }),
    [
      "src/extra/new.ts:1: src/extra is not a layer that tools/lint_layers.ts knows",
      "src/gpu/bad.ts:1: imports tools/tool.ts, and gpu may import only model",
    ],
  );
});

Deno.test("findViolations() refuses bare and unpinned names under mod.ts alone", async () => {
  assertEquals(
    await violationsIn({
      ...LEAVES,
      "deno.json": '{ "imports": { "bare": "./src/io/bytes.ts", "mapped/": "./src/io/" } }',
      "mod.ts": 'export * from "./src/engine/a.ts";\n',
      "src/engine/a.ts": 'import "bare";\nimport "mapped/bytes.ts";\nimport "node:path";\n',
      "src/cli/main.ts": 'import "bare";\n',
    }),
    ["bare", "mapped/bytes.ts"].map((specifier, index) =>
      `src/engine/a.ts:${index + 1}: imports "${specifier}", and mod.ts reaches it: ` +
      'use a relative path or "npm:name@version"'
    ),
  );
});

Deno.test("findViolations() refuses code in mod.ts", async () => {
  for (const code of ["export const x = 1;", 'import "./src/io/bytes.ts";', "export { x };"]) {
    const text = `/** Doc. */\nexport * from "./src/engine/session.ts";\n${code}\n`;
    assertEquals(await violationsIn({ ...LEAVES, "mod.ts": text }), [
      `mod.ts:3: holds code (${code}), and only re-exports belong there`,
    ]);
  }
});
