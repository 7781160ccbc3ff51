/** Data files: read whole, or refused in one line that names the file and what should be in it. */

import { createFileHash } from "../file_hash.ts";
import { foreignForm } from "../foreign_file.ts";
import { quote } from "../quote.ts";
import { requireRegularFile } from "../regular_file.ts";

/**
 * Reads a file whole.
 *
 * @param path A path, or a `file:` URL.
 * @param holds What should be in it, such as "text".
 * @throws {Deno.errors.NotFound} If there is no such file.
 * @throws {TypeError} If it is a folder, a pipe or a device.
 * @throws {SyntaxError} If it is empty, or what is known to be something else, such as a Git LFS pointer.
 */
export async function readDataFile(
  path: string | URL,
  holds: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const name = typeof path === "string" ? path : decodeURIComponent(path.pathname);
  const failed = `Cannot read ${quote(name)}:`;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    await requireRegularFile(path);
    bytes = await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof TypeError) {
      throw new TypeError(`${cause.message} of ${holds}`, { cause });
    }
    if (
      cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory
    ) {
      const packed = await isFile(`${name}.gz`);
      throw new Deno.errors.NotFound(
        `${failed} there is no such file, expected ${holds}` +
          (packed ? `. Unpack ${quote(`${name}.gz`)} first` : ""),
        { cause },
      );
    }
    throw cause;
  }
  if (bytes.length === 0) throw new SyntaxError(`${failed} it is empty, expected ${holds}`);
  // A web page is a text like any other where texts are read.
  const foreign = foreignForm(bytes, holds === "text");
  if (foreign !== undefined) throw new SyntaxError(`${failed} ${foreign}`);
  return bytes;
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

/**
 * Refuses a file that is not the published one, for what looks sound may be damaged.
 *
 * @param bytes The whole file.
 * @param name What error messages call it.
 * @param expected The MD5 sum of the published file, and whose it is, such as "MNIST".
 * @throws {SyntaxError} If its sum is another.
 */
export function requireMd5(
  bytes: Uint8Array,
  name: string,
  { md5, owner }: { readonly md5: string; readonly owner: string },
): void {
  const found = createFileHash("md5").update(bytes).digest("hex");
  if (found === md5) return;
  throw new SyntaxError(
    `Cannot load ${quote(name)}: ${bytes.length} bytes with MD5 ${found}, expected ${md5}. ` +
      `The file is not ${owner}'s, or the download is incomplete`,
  );
}
