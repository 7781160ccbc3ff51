import { assertEquals } from "@std/assert";
import { KERNEL_CHECKS } from "../../src/checks/kernel_checks.ts";
import { WEBGPU_OPS } from "../../src/checks/webgpu_ops.ts";

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

Deno.test("checks name no executor: only what is called webgpu_ reaches one", async () => {
  const wrong: string[] = [];
  for await (const [file, target] of importsUnder(CHECKS)) {
    const isOfWebGpu = file.startsWith("checks/webgpu_");
    const isPure = /^(model|checks)\//.test(target) && !target.startsWith("checks/webgpu_");
    // runChecks() is where one is chosen.
    if (!isOfWebGpu && !isPure && file !== "checks/run_checks.ts") {
      wrong.push(`${file} imports ${target}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("every op of the set is called by a check, and each check names ops that there are", () => {
  const called = new Set(KERNEL_CHECKS.flatMap(({ ops }) => ops));
  assertEquals([...called].toSorted(), Object.keys(WEBGPU_OPS).toSorted());
});
