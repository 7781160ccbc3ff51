import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

/** The paths of files and folders that a text names. */
function pathsOf(text: string): string[] {
  return [...text.matchAll(/`((?:src|kernels|tests|tools|docs)\/[\w./]*)`/g)].map(([, path = ""]) =>
    path
  );
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(new URL(path, ROOT)).then(() => true, () => false);
}

Deno.test("ARCHITECTURE.md and docs/why.md name files and folders that are there", async () => {
  for (const file of ["ARCHITECTURE.md", "docs/why.md"]) {
    const paths = pathsOf(await Deno.readTextFile(new URL(file, ROOT)));
    assert(paths.length > 5, `${file} names ${paths.length} paths`);
    for (const path of paths) {
      assert(await exists(path), `${file} names ${path}, which is not there`);
    }
  }
});

Deno.test("ARCHITECTURE.md walks a token and a batch through six files each, of under 1,000 lines", async () => {
  const text = await Deno.readTextFile(new URL("ARCHITECTURE.md", ROOT));
  const walks = text.split("\n\n").filter((paragraph) => /^\*\*.*in six files/.test(paragraph));
  assertEquals(walks.length, 2);
  for (const walk of walks) {
    const paths = pathsOf(walk);
    assertEquals(paths.length, 6);
    let lines = 0;
    for (const path of paths) {
      lines += (await Deno.readTextFile(new URL(path, ROOT))).split("\n").length - 1;
    }
    assert(lines < 1000, `${paths.join(", ")} have ${lines} lines`);
  }
});
