import { assertEquals } from "@std/assert";
import { fromBase64, toHex } from "../../src/runtime/bytes.ts";

const ALL = Uint8Array.from({ length: 256 }, (_, byte) => byte);

Deno.test("toHex() and fromBase64() are what Uint8Array has of its own", () => {
  assertEquals(toHex(ALL), ALL.toHex());
  for (const length of [0, 1, 2, 3, 256]) {
    const bytes = ALL.subarray(0, length);
    assertEquals(fromBase64(bytes.toBase64()), bytes);
  }
});
