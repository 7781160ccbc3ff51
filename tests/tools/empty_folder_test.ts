import { assertEquals, assertRejects } from "@std/assert";
import { makeEmptyFolder } from "../../tools/empty_folder.ts";

Deno.test("makeEmptyFolder() removes what a killed process left, and nothing else", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const leftover = `${folder}/model.safetensors.00000000-0000-4000-8000-000000000000.tmp`;
    await Deno.writeTextFile(leftover, "half");
    await Deno.writeTextFile(`${folder}/a.tmp`, "mine");
    await assertRejects(() => makeEmptyFolder(folder), Error, 'it has "a.tmp" already');
    assertEquals(await Deno.readTextFile(leftover), "half");
    await Deno.remove(`${folder}/a.tmp`);
    await makeEmptyFolder(folder);
    assertEquals(await Array.fromAsync(Deno.readDir(folder)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
