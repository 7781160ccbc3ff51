import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { checkIdRange, parseIds, readIds } from "../../../src/cli/infer/id_file.ts";

Deno.test("parseIds() reads one sequence, or several", () => {
  assertEquals(parseIds("[1, 2, 0]", "f"), { sequences: [[1, 2, 0]], nested: false });
  assertEquals(parseIds("[[1], [2, 3]]", "f"), { sequences: [[1], [2, 3]], nested: true });
});

Deno.test("parseIds() refuses all else in one clear error", () => {
  assertThrows(() => parseIds("[1, 2", "f"), SyntaxError, 'Cannot read token ids from "f"');
  const bad: [string, string][] = [
    ["{}", "expected a JSON array"],
    ["3", "expected a JSON array"],
    ["[]", "a sequence is empty"],
    ["[[1], []]", "a sequence is empty"],
    ["[1, 2.5]", "entry [1] is 2.5"],
    ["[-1]", "entry [0] is -1"],
    ["[1e300]", "entry [0] is 1e+300"],
    ['["1"]', 'entry [0] is "1"'],
    ["[null]", "entry [0] is null"],
    ["[[1], 2]", "entry [1] is 2, expected an array"],
    ["[1, [2]]", "entry [1] is [2]"],
    ["[[1], [2, true]]", "entry [1][1] is true"],
  ];
  for (const [json, message] of bad) {
    assertThrows(() => parseIds(json, "f"), TypeError, message, json);
  }
});

Deno.test("checkIdRange() names the id that the model has no row for", () => {
  checkIdRange([0, 100], 101, "f");
  assertThrows(() => checkIdRange([0, 101], 101, "f"), RangeError, "entry [1] is 101");
});

Deno.test("readIds() names a file that is not there, empty, or no text", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/ids.json`;
    await assertRejects(
      () => readIds(path),
      Deno.errors.NotFound,
      `Cannot read "${path}": there is no such file, expected token ids`,
    );
    await Deno.writeTextFile(path, "");
    await assertRejects(() => readIds(path), SyntaxError, "it is empty, expected token ids");
    await Deno.writeTextFile(path, "[3, 4]");
    assertEquals(await readIds(path), { sequences: [[3, 4]], nested: false });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
