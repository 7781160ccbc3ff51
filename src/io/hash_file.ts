import { createFileHash } from "./file_hash.ts";

/** The SHA-256 of a file of any length. */
export async function hashFile(path: string): Promise<string> {
  const hash = createFileHash("sha256");
  const file = await Deno.open(path);
  try {
    // One buffer: a stream's pieces would pile up until somebody collects them.
    const buffer = new Uint8Array(2 ** 20);
    for (let count; (count = await file.read(buffer)) !== null;) {
      hash.update(buffer.subarray(0, count));
    }
  } finally {
    file.close();
  }
  return hash.digest("hex");
}
