import { assertEquals, assertRejects } from "@std/assert";
import { followFile } from "../../../src/io/streams/follow_file.ts";

Deno.test("followFile() gives what is written later, of a truncated file and of one that took its name", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/log`;
    await Deno.writeTextFile(path, "one\n");
    const controller = new AbortController();
    const restarts: string[] = [];
    let text = "";
    const steps: [string, () => Promise<void>][] = [
      ["one\n", () => Deno.writeTextFile(path, "two\n", { append: true })],
      ["one\ntwo\n", () => Deno.writeTextFile(path, "3\n")],
      ["one\ntwo\n3\n", async () => {
        await Deno.writeTextFile(path, "four\n", { append: true });
        await Deno.rename(path, `${path}.1`);
        await Deno.writeTextFile(path, "five\n");
      }],
      ["one\ntwo\n3\nfour\nfive\n", async () => {
        await Deno.remove(path);
        await new Promise((resolve) => setTimeout(resolve, 60));
        await Deno.writeTextFile(path, "six\n");
      }],
      ["one\ntwo\n3\nfour\nfive\nsix\n", () => Promise.resolve(controller.abort())],
    ];
    const options = {
      signal: controller.signal,
      onRestart: (why: string) => restarts.push(why),
    };
    for await (const bytes of followFile(path, options)) {
      text += new TextDecoder().decode(bytes);
      const [expected, next] = steps[0] ?? ["", () => Promise.resolve()];
      if (text !== expected) continue;
      steps.shift();
      await next();
    }
    assertEquals(text, "one\ntwo\n3\nfour\nfive\nsix\n");
    assertEquals(restarts, ["truncated", "replaced", "replaced"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("followFile() refuses what is no file", async () => {
  const follow = (path: string) => followFile(path).next();
  await assertRejects(() => follow("no/such/file"), Deno.errors.NotFound);
  await assertRejects(() => follow("tests"), TypeError, "it is a folder, expected a file");
});
