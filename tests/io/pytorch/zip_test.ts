import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromBytes } from "../../../src/io/byte_source.ts";
import { openZip, ZipError } from "../../../src/io/pytorch/zip.ts";
import { makeZip, type ZipFile, type ZipOptions } from "./zip_file.ts";

const A: ZipFile = { name: "dir/a", bytes: Uint8Array.of(1, 2, 3) };
const B: ZipFile = { name: "b", bytes: Uint8Array.of(4, 5) };

async function refused(files: ZipFile[], found: string, options?: ZipOptions): Promise<void> {
  await assertRejects(
    async () => {
      const archive = await openZip(fromBytes("x.zip", makeZip(files, options)));
      for (const { name, sizeBytes } of archive.entries.values()) {
        await archive.read(name, 0, sizeBytes);
      }
    },
    ZipError,
    found,
  );
}

for (
  const options of [{}, { zip64: true }, { comment: "PK\x05\x06".repeat(9) }, {
    zip64: true,
    comment: "x",
  }]
) {
  Deno.test(`openZip() reads an archive with ${JSON.stringify(options)}`, async () => {
    const folder = { name: "dir/", bytes: new Uint8Array() };
    const archive = await openZip(fromBytes("x.zip", makeZip([folder, A, B], options)));
    assertEquals([...archive.entries.values()].map(({ name, sizeBytes }) => [name, sizeBytes]), [
      ...[["dir/a", 3], ["b", 2]],
    ]);
    assertEquals([...await archive.read("dir/a", 1, 2)], [2, 3]);
    assertEquals([...await archive.read("b", 0, 2)], [4, 5]);
    await assertRejects(() => archive.read("b", 1, 2), RangeError, "2 bytes held");
    await assertRejects(() => archive.read("c", 0, 0), RangeError, '"c"');
  });
}

Deno.test("openZip() reads sizes that follow the data", async () => {
  const file = { ...A, flags: 0x808, localSize: 0 };
  const archive = await openZip(fromBytes("x.zip", makeZip([file])));
  assertEquals([...await archive.read("dir/a", 0, 3)], [1, 2, 3]);
});

Deno.test("openZip() refuses what is no archive, or ends too early", async () => {
  const whole = makeZip([A, B], { zip64: true });
  for (let length = 0; length < whole.length; length++) {
    await assertRejects(
      async () => await openZip(fromBytes("x.zip", whole.subarray(0, length))),
      ZipError,
    );
  }
});

Deno.test("openZip() refuses compressed and encrypted files", async () => {
  await refused([{ ...A, method: 8 }], "compressed (method 8)");
  await refused([{ ...A, flags: 1 }], "encrypted");
});

Deno.test("openZip() refuses files that share bytes", async () => {
  await refused([A, { ...B, begin: 0 }], "overlaps");
  await refused([A, B, { ...A, name: "dir/c", begin: 0 }], "overlaps");
});

Deno.test("openZip() refuses sizes that do not fit", async () => {
  await refused([{ ...A, centralSize: 1000 }], "passes the central directory");
  await refused([{ ...A, centralSize: 2 ** 40 }], "passes the central directory", { zip64: true });
  await refused([{ ...A, centralSize: 4 }, B], "overlaps");
  await refused([{ ...A, begin: 2 ** 31 }], "passes the central directory");
  await refused([A], "65000 files", { count: 65_000 });
  await refused([A, B], "after its last file", { count: 1 });
  await refused([A], "zip64 end record disagrees", { count: 2 ** 61, zip64: true });
});

Deno.test("openZip() refuses local headers that disagree with the directory", async () => {
  await refused([{ ...A, localName: "dir/b" }, B], "another name");
  await refused([{ ...A, localSize: 2 }, B], "disagrees");
  await refused([{ ...A, begin: 3 }], "passes the central directory");
  // Flags, method, checksum, and the two sizes of the first local header.
  for (const at of [6, 8, 14, 18, 22]) {
    const changed = makeZip([A, B]);
    changed[at] = (changed[at] ?? 0) ^ 4;
    const archive = await openZip(fromBytes("x.zip", changed));
    await assertRejects(() => archive.read("dir/a", 0, 1), ZipError, "disagrees");
    assertEquals([...await archive.read("b", 0, 1)], [4]);
  }
  const bytes = makeZip([A, B]);
  bytes[0] = 0;
  const archive = await openZip(fromBytes("x.zip", bytes));
  await assertRejects(() => archive.read("dir/a", 0, 1), ZipError, "no local header");
  const longer = makeZip([A, B]);
  longer[28] = 200;
  const shifted = await openZip(fromBytes("x.zip", longer));
  await assertRejects(() => shifted.read("dir/a", 0, 1), ZipError, "past what follows");
});

Deno.test("openZip() refuses names that come twice or lead elsewhere", async () => {
  await refused([A, A], "two files");
  for (const name of ["../a", "a/../../b", "/etc/passwd", "a\\b", "", "a\0", ".."]) {
    await refused([{ ...A, name }], "unsafe name");
  }
  const bytes = makeZip([{ name: "b~", bytes: new Uint8Array() }]);
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0x7e) bytes[i] = 0xff;
  await assertRejects(async () => await openZip(fromBytes("x.zip", bytes)), ZipError, "UTF-8");
});

Deno.test("openZip() asks for no more than the end and the directory", async () => {
  const files = Array.from(
    { length: 50 },
    (_, i) => ({ name: `f${i}`, bytes: new Uint8Array(9000) }),
  );
  const bytes = makeZip(files, { zip64: true });
  let asked = 0;
  const source = fromBytes("x.zip", bytes);
  await openZip({
    ...source,
    read: (offset, length) => {
      asked += length;
      return source.read(offset, length);
    },
  });
  assert(asked < 80_000, `${asked} of ${bytes.length} bytes`);
});
