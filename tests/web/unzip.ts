import { crc32 } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { openFile } from "../../src/io/file_source.ts";
import { openZip } from "../../src/io/pytorch/zip.ts";

/** The bytes that a central header begins with. */
const CENTRAL = [0x50, 0x4b, 0x01, 0x02];

/** Unpacks a zip into a folder, and compares the checksums that it tells with those of its files. */
export async function unzip(path: string, folder: string): Promise<void> {
  using source = await openFile(path);
  const archive = await openZip(source);
  const checksums: number[] = [];
  for (const [name, { sizeBytes }] of archive.entries) {
    const bytes = await archive.read(name, 0, sizeBytes);
    checksums.push(crc32(bytes));
    const target = `${folder}/${name}`;
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(target, bytes);
  }
  assert(checksums.length > 0);
  assertEquals(checksumsTold(await Deno.readFile(path)), checksums);
}

/** Of the central directory, which stands at the end. */
function checksumsTold(bytes: Uint8Array<ArrayBuffer>): number[] {
  const view = new DataView(bytes.buffer);
  const count = view.getUint16(bytes.length - 12, true);
  const begin = view.getUint32(bytes.length - 6, true);
  let at = begin;
  return Array.from({ length: count }, () => {
    assertEquals([...bytes.subarray(at, at + 4)], CENTRAL);
    const checksum = view.getUint32(at + 16, true);
    at += 46 + view.getUint16(at + 28, true);
    return checksum;
  });
}
