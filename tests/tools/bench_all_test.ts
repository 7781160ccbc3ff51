import { assertEquals, assertRejects } from "@std/assert";
import { all } from "../../tools/bench/all.ts";
import type { Result } from "../../tools/bench/result.ts";

async function run(...args: string[]): Promise<Result[]> {
  return await Array.fromAsync(all(args));
}

Deno.test("bench all compares its figures with those that the last run saved, on the same device", async () => {
  const path = await Deno.makeTempFile();
  try {
    const only = ["--only", "weights/mnist a whole"];
    const [first] = await run(...only, "--baseline", "none", "--save", path);
    assertEquals(Object.keys(first ?? {}), ["bench", "device", "row", "milliseconds"]);
    const saved = JSON.parse(await Deno.readTextFile(path));
    assertEquals([saved.device, saved.deno], [first?.device, Deno.version.deno]);

    const doubled = { ...saved.figures, "weights/mnist a whole image": 1e9 };
    await Deno.writeTextFile(path, JSON.stringify({ ...saved, figures: doubled }));
    const [second] = await run(...only, "--baseline", path);
    assertEquals(second?.before, 1e9);
    const took = Number(second?.milliseconds);
    assertEquals(second?.ratio, Number((1e9 / took).toFixed(3)), "less time is a larger ratio");

    await Deno.writeTextFile(path, JSON.stringify({ ...saved, device: "another" }));
    const [third] = await run(...only, "--baseline", path, "--table");
    assertEquals(third?.before, undefined);
    assertEquals(String(third?.table).split("\n").length, 3);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("bench all names its rows where it is asked for others", async () => {
  await assertRejects(
    () => run("--only", "nothing"),
    SyntaxError,
    'Cannot run "nothing": the rows are decode mamba-130m f16; ',
  );
});
