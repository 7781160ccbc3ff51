/** Hashes of files, piece by piece. */

/** A hash under way: what is used here of the class that Deno and Node have built in. */
export interface FileHash {
  /** Takes the next piece; text is taken as UTF-8. */
  update(piece: Uint8Array | string): FileHash;
  /** Ends it. */
  digest(form: "hex"): string;
}

/**
 * Begins a hash that takes its bytes in pieces.
 *
 * WebCrypto wants all bytes at once, which a file on a disk may be too long for, and has no MD5; a hash in JavaScript
 * reads 80 MB/s where the runtime's own reads 650. So that one is asked for where there is a file to be hashed: to
 * import its module would be in the way of a page, which has neither.
 *
 * @throws {Error} In a page.
 */
export function createFileHash(name: "md5" | "sha1" | "sha256"): FileHash {
  const { process } = globalThis as {
    process?: {
      getBuiltinModule?(name: string): { createHash(name: string): FileHash } | undefined;
    };
  };
  const crypto = process?.getBuiltinModule?.("crypto");
  if (crypto === undefined) {
    throw new Error(`Cannot compute ${name}: a page has no such hash. Run this in Deno`);
  }
  return crypto.createHash(name);
}
