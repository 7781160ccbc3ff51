import { assertEquals, assertLess } from "@std/assert";

Deno.test("untilAborted() and withPauses() hold nothing of what has passed, while the stream goes on", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-check", "--v8-flags=--expose-gc"],
      new URL("fixture_held_values.ts", import.meta.url).pathname,
    ],
    stdin: "null",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const held: Record<string, number> = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(Object.keys(held).length, 2);
  // The last one may be somebody's still.
  for (const count of Object.values(held)) assertLess(count, 3, JSON.stringify(held));
});
