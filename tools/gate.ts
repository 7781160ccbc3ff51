// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * The gate: everything that must hold before a change lands.
 *
 *     deno run -A tools/gate.ts [--no-test]
 *
 * Prints one line a step with its time, and the output of those that fail. Exits 1 if any does; the later steps run
 * all the same. `--no-test` leaves the tests out, which are the slow half.
 */

import { answerHelp } from "./help.ts";

interface Step {
  readonly name: string;
  /** What `deno` is given. */
  readonly args: readonly string[];
}

const STEPS: readonly Step[] = [
  { name: "fmt", args: ["fmt", "--check"] },
  { name: "lint", args: ["lint"] },
  { name: "check", args: ["check", "."] },
  { name: "doc", args: ["doc", "--lint", "mod.ts"] },
  { name: "layers", args: ["run", "-A", "tools/lint_layers.ts"] },
  // The module that runs models on the CPU is what its sources give: here alone a compiler is needed.
  { name: "cpu", args: ["run", "-A", "tools/build_cpu.ts", "--check"] },
  { name: "test", args: ["task", "test"] },
  // --allow-dirty: the gate also runs before the commit.
  { name: "publish", args: ["publish", "--dry-run", "--allow-dirty"] },
];

answerHelp(import.meta.url);
const options = new Set(Deno.args);
const withTests = !options.delete("--no-test");
if (options.size > 0) {
  console.error(`Cannot run the gate: unknown option "${[...options][0]}", expected --no-test`);
  Deno.exit(2);
}

let failed = 0;
for (const { name, args } of STEPS) {
  if (name === "test" && !withTests) continue;
  const start = performance.now();
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: new URL("..", import.meta.url),
    stdin: "null",
  }).output();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${code === 0 ? "ok    " : "FAILED"} ${name.padEnd(8)} ${seconds.padStart(6)} s`);
  if (code !== 0) {
    failed++;
    console.log(`$ deno ${args.join(" ")}`);
    for (const output of [stdout, stderr]) console.log(new TextDecoder().decode(output).trimEnd());
  }
}
if (failed > 0) {
  console.log(`${failed} of ${withTests ? STEPS.length : STEPS.length - 1} steps failed`);
  Deno.exit(1);
}
