import { assert, assertEquals } from "@std/assert";
import { headComment } from "../../tools/help.ts";

const ROOT = new URL("../../", import.meta.url);

/** Files that are run, not imported. */
const TOOLS = [
  ...["build_cpu.ts", "convert_mnist_mamba.ts", "ensure_adapter.ts", "ensure_browser.ts"],
  ...["gate.ts", "kill_training.ts", "lint_layers.ts", "quantize.ts", "random_checkpoint.ts"],
  ...[
    "figures.ts",
    "plot.ts",
    "record_docs.ts",
    "run_tests.ts",
    "run_web_tests.ts",
    "screenshots.ts",
  ],
  ...["soak.ts", "to_float16.ts", "verify_hub.ts"],
  ...["web.ts", "bench/main.ts"],
];

const BENCHMARKS = [
  ...["all", "browser", "cpu_matmul", "cpu_matvec", "cpu_ops", "cpu_train"],
  ...["decode", "length", "matmul", "matvec", "prefill", "serve", "shipped", "ssd", "train"],
];

async function help(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...args, "--help"],
    ...{ cwd: ROOT, stdin: "null", stdout: "piped", stderr: "piped" },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("every tool and benchmark answers --help, and does nothing else", async () => {
  for (const tool of TOOLS) {
    const source = await Deno.readTextFile(new URL(`tools/${tool}`, ROOT));
    assertEquals(await help(`tools/${tool}`), `${headComment(source)}\n`, tool);
  }
  for (const name of BENCHMARKS) {
    const text = await help("tools/bench/main.ts", name);
    assert(text.startsWith(`\`bench ${name}\``) && text.includes("--"), text);
  }
});

Deno.test("the tools that are tried for --help are all that there are", async () => {
  const found: string[] = [];
  for (const folder of ["", "bench/"]) {
    for await (const { name, isFile } of Deno.readDir(new URL(`tools/${folder}`, ROOT))) {
      if (!isFile || !name.endsWith(".ts")) continue;
      const source = await Deno.readTextFile(new URL(`tools/${folder}${name}`, ROOT));
      if (/^ *answerHelp\(|import\.meta\.main|Deno\.exit\(/m.test(source)) {
        found.push(folder + name);
      }
    }
  }
  assertEquals(found.filter((name) => name !== "help.ts").sort(), TOOLS.toSorted());
});

Deno.test("headComment() is the text of a file's first comment", () => {
  assertEquals(headComment("// a\n/** One line. */\n/** Two. */"), "One line.");
  assertEquals(headComment("/**\n * A.\n *\n *     code\n */\nx"), "A.\n\n    code");
});
