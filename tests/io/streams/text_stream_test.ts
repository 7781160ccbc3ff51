import { assertEquals, assertRejects } from "@std/assert";
import { withPauses } from "../../../src/io/streams/byte_stream.ts";
import { textOf } from "../../../src/io/streams/text_stream.ts";
import { untilAborted } from "../../../src/io/streams/until_aborted.ts";
import { inPieces, joined, utf8 } from "./source.ts";

Deno.test("textOf() gives the text wherever its bytes are cut, and names the first that is none", async () => {
  const text = "\ufeffaé漢\u{1f642}\n\ufeffz";
  for (let size = 1; size < 12; size++) {
    const parts = await Array.fromAsync(textOf(inPieces(utf8(text), size), "in"));
    assertEquals(parts.join(""), text.slice(1));
    for (const part of parts) assertEquals(part?.isWellFormed(), true);
    for (const bad of [[0xff], [0xe6, 0xbc], [0xc3, 0x41]]) {
      const bytes = joined(utf8("aé"), bad);
      const read = () => Array.fromAsync(textOf(inPieces(bytes, size), "in"));
      await assertRejects(read, SyntaxError, 'Cannot read "in": byte 3 is 0x');
    }
  }
});

Deno.test("withPauses() says where a source pauses, and loses nothing of it", async () => {
  const source = async function* () {
    yield 1;
    await new Promise((resolve) => setTimeout(resolve, 60));
    yield 2;
  };
  assertEquals(await Array.fromAsync(withPauses(source(), 10)), [1, undefined, 2]);
});

Deno.test("untilAborted() ends with its signal though the source gives nothing more", async () => {
  const controller = new AbortController();
  const never = async function* () {
    yield 1;
    await new Promise(() => {});
  };
  const values = [];
  for await (const value of untilAborted(never(), controller.signal)) {
    values.push(value);
    setTimeout(() => controller.abort(), 5);
  }
  assertEquals(values, [1]);
});
