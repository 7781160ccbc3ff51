import { assertEquals } from "@std/assert";
import { folderHandler } from "../../tools/serve_folder.ts";

const TEXT = "0123456789";

/** Asks for a path of a folder with two files; gives the answer. */
async function ask(
  path: string,
  { range, isolated = false, base = "/" }: { range?: string; isolated?: boolean; base?: string } =
    {},
): Promise<{ status: number; text: string; headers: Headers }> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/inner`);
    await Deno.writeTextFile(`${folder}/index.html`, "<p>");
    await Deno.writeTextFile(`${folder}/inner/a b.json`, TEXT);
    const handler = folderHandler(folder, { isolated, base });
    const headers = range === undefined ? {} : { range };
    const response = await handler(new Request(`http://localhost${path}`, { headers }));
    const { status } = response;
    return { status, text: await response.text(), headers: response.headers };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("folderHandler() gives files with their types, and a folder's index.html", async () => {
  const page = await ask("/");
  assertEquals([page.status, page.text], [200, "<p>"]);
  assertEquals(page.headers.get("content-type"), "text/html; charset=utf-8");
  const file = await ask("/inner/a%20b.json");
  assertEquals([file.status, file.text], [200, TEXT]);
  assertEquals(file.headers.get("content-type"), "application/json");
});

Deno.test("folderHandler() gives ranges, and says where one is past the end", async () => {
  const answer = async (range: string) => {
    const { status, text, headers } = await ask("/inner/a%20b.json", { range });
    return [status, text, headers.get("content-range")];
  };
  assertEquals(await answer("bytes=2-4"), [206, "234", "bytes 2-4/10"]);
  assertEquals(await answer("bytes=8-99"), [206, "89", "bytes 8-9/10"]);
  assertEquals(await answer("bytes=7-"), [206, "789", "bytes 7-9/10"]);
  assertEquals(await answer("bytes=10-12"), [416, "", "bytes */10"]);
  assertEquals(await answer("lines=1-2"), [200, TEXT, null]);
});

Deno.test("folderHandler() gives nothing that is not in the folder, nor above its path", async () => {
  for (
    const path of ["/nothing", "/inner", "/inner/", "/%2e%2e%2fx", "/inner/..%2f..%2fx", "/%E0"]
  ) {
    assertEquals((await ask(path)).status, 404, path);
  }
  assertEquals((await ask("/some/where/", { base: "/some/where/" })).text, "<p>");
  assertEquals((await ask("/", { base: "/some/where/" })).status, 404);
});

Deno.test("folderHandler() isolates the page only where it is told to", async () => {
  const { headers } = await ask("/", { isolated: true });
  assertEquals(headers.get("cross-origin-opener-policy"), "same-origin");
  assertEquals(headers.get("cross-origin-embedder-policy"), "require-corp");
  assertEquals((await ask("/")).headers.has("cross-origin-opener-policy"), false);
});
