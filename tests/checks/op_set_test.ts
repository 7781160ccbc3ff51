import { assertEquals } from "@std/assert";
import { CHECKED_CPU_OPS } from "../../src/checks/cpu_ops.ts";
import { KERNEL_CHECKS } from "../../src/checks/kernel_checks.ts";
import { CHECKED_WEBGPU_OPS } from "../../src/checks/webgpu_ops.ts";

const CHECKS = new URL("../../src/checks/", import.meta.url);

/** What the files under a folder of src/checks import: paths from src on. */
async function* importsUnder(folder: URL): AsyncGenerator<[file: string, target: string]> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) {
      yield* importsUnder(new URL(`${name}/`, folder));
      continue;
    }
    const file = new URL(name, folder);
    const pathOf = ({ href }: URL) => href.slice(new URL("../", CHECKS).href.length);
    for (
      const match of (await Deno.readTextFile(file)).matchAll(/\b(?:from |import\()"([^"]+)"/g)
    ) {
      yield [pathOf(file), pathOf(new URL(match[1] ?? "", file))];
    }
  }
}

Deno.test("checks name no executor: only what is called webgpu_ or cpu_ reaches one", async () => {
  const wrong: string[] = [];
  for await (const [file, target] of importsUnder(CHECKS)) {
    const isExecutors = /^checks\/(webgpu|cpu)_/;
    const isPure = /^(model|passes|checks|runtime)\//.test(target) && !isExecutors.test(target);
    // runChecks() is where one is chosen.
    if (!isExecutors.test(file) && !isPure && file !== "checks/run_checks.ts") {
      wrong.push(`${file} imports ${target}`);
    }
  }
  assertEquals(wrong, []);
});

/** What is no op: which of them are taken, and sizes that only passes ask for. */
const NO_OPS: readonly string[] = [
  ...[
    "linearFwd",
    "mamba3Steps",
    "MATVEC_MAX_ROWS",
    "MAX_SCAN_STATES",
    "rates",
    "recomputes",
    "S4_CHUNK",
    "scanActivations",
    "SSD_CHUNK",
    "ssdActivations",
  ],
];

Deno.test("every op of the set is called by a check, and each check names ops that there are", () => {
  const called = new Set(KERNEL_CHECKS.flatMap(({ ops }) => ops));
  const there = new Set(Object.keys({ ...CHECKED_WEBGPU_OPS, ...CHECKED_CPU_OPS }));
  assertEquals([...called, ...NO_OPS].toSorted(), [...there].toSorted());
});
