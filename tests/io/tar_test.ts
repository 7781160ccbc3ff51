import { assert, assertEquals, assertRejects } from "@std/assert";
import { Random } from "../../src/checks/random.ts";
import { fromBytes } from "../../src/io/byte_source.ts";
import { isTar, tarEntries } from "../../src/io/tar.ts";
import { tarFile } from "./tar_file.ts";

async function filesOf(bytes: Uint8Array): Promise<[string, string][]> {
  const source = fromBytes("a.tar", bytes);
  const found: [string, string][] = [];
  for await (const { path, offset, sizeBytes } of tarEntries(source)) {
    found.push([path, new TextDecoder().decode(await source.read(offset, sizeBytes))]);
  }
  return found;
}

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("tarEntries() finds the files of an archive, by their whole names", async () => {
  const long = `${"folder/".repeat(30)}file.wav`;
  const bytes = tarFile([
    { path: "folder/", type: "5" },
    { path: "folder/a", bytes: encode("alpha") },
    { path: "link", type: "2" },
    { path: "empty" },
    { path: "././@LongLink", type: "L", bytes: encode(`${long}\0`) },
    { path: long.slice(0, 99), bytes: encode("beta") },
    { path: "pax", type: "x", bytes: encode("20 path=folder/é.x\n12 size=600\n") },
    { path: "cut", bytes: encode("gamma") },
    { path: "b", bytes: encode("x".repeat(513)), prefix: "outer" },
  ]);
  assert(isTar(bytes));
  const expected: [string, string][] = [
    ["folder/a", "alpha"],
    ["empty", ""],
    [long, "beta"],
    ["folder/é.x", "gamma"],
    ["outer/b", "x".repeat(513)],
  ];
  assertEquals(await filesOf(bytes), expected);
  // Without the empty blocks at its end, too.
  assertEquals(await filesOf(bytes.subarray(0, -1024)), expected);
});

Deno.test("tarEntries() says what is wrong with an archive", async () => {
  const good = tarFile([{ path: "a", bytes: encode("alpha") }]);
  const flipped = good.slice();
  flipped[0] = 0x62;
  await assertRejects(() => filesOf(flipped), SyntaxError, "damaged, or is none");
  await assertRejects(() => filesOf(good.subarray(0, 514)), SyntaxError, "cut short");
  const huge = tarFile([{ path: "a", type: "L", size: 2 ** 20, bytes: new Uint8Array(2 ** 20) }]);
  await assertRejects(() => filesOf(huge), SyntaxError, "a name has 1048576 bytes");
});

Deno.test("tarEntries() gives files or a SyntaxError for any bytes", async () => {
  const random = new Random(11);
  const whole = tarFile([
    { path: "pax", type: "x", bytes: encode("20 path=folder/é.x\n") },
    { path: "a", bytes: encode("alpha") },
    { path: "b", bytes: encode("beta") },
  ]);
  for (let i = 0; i < 3000; i++) {
    const bytes = whole.slice(0, Math.ceil(random.next() * whole.length));
    const at = Math.floor(random.next() * bytes.length);
    bytes[at] = random.next() * 256;
    try {
      await filesOf(i % 2 === 0 ? bytes : resummed(bytes));
    } catch (error) {
      assert(error instanceof SyntaxError, String(error));
    }
  }
});

/** With the checksums of its headers made right, so that what they say is believed. */
function resummed(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const header = bytes.subarray(at, at + 512);
    if (!isTar(header)) continue;
    header.fill(0x20, 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.set(encode(sum.toString(8).padStart(6, "0")), 148);
    header[154] = 0;
  }
  return bytes;
}
