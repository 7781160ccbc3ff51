/** A file that somebody else goes on writing, such as a log. */

import { requireRegularFile } from "../regular_file.ts";

/** How often a file is looked at that has no more to give, in milliseconds. */
const POLL_MS = 20;
/** Bytes that are read at once. */
const CHUNK_BYTES = 2 ** 16;

/** Options of {@linkcode followFile}. */
export interface FollowOptions {
  /** Ends the stream. */
  readonly signal?: AbortSignal | undefined;
  /** Is told when the file was cut short, or another took its name: what follows is from the beginning. */
  readonly onRestart?: ((why: "truncated" | "replaced") => void) | undefined;
}

/**
 * Gives a file's bytes from its beginning, and then what is written to it, as it comes.
 *
 * A file that is shorter than what was read of it was truncated, and is read anew. Where another file has the name, as
 * when logs are rotated, the rest of the old one comes first; meanwhile there may be none of that name.
 *
 * @throws {Deno.errors.NotFound} If there is no such file at first.
 * @throws {TypeError} If it is a folder, a pipe or a device.
 */
export async function* followFile(
  path: string,
  { signal, onRestart }: FollowOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  await requireRegularFile(path);
  const buffer = new Uint8Array(CHUNK_BYTES);
  let file = await Deno.open(path);
  try {
    let position = 0;
    while (!signal?.aborted) {
      const count = await file.read(buffer);
      if (count !== null) {
        position += count;
        yield buffer.slice(0, count);
        continue;
      }
      const own = await file.stat();
      const named = await Deno.stat(path).catch(ifMissing);
      if (own.size < position) {
        await file.seek(0, Deno.SeekMode.Start);
        position = 0;
        onRestart?.("truncated");
      } else if (named !== undefined && named.isFile && !isSame(own, named)) {
        // What was written between the last read and the look at the name.
        for (let rest; (rest = await file.read(buffer)) !== null;) yield buffer.slice(0, rest);
        const next = await Deno.open(path).catch(ifMissing);
        if (next === undefined) continue;
        file.close();
        file = next;
        position = 0;
        onRestart?.("replaced");
      } else {
        await pause(signal);
      }
    }
  } finally {
    file.close();
  }
}

function ifMissing(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

function isSame(one: Deno.FileInfo, other: Deno.FileInfo): boolean {
  if (one.ino !== null && other.ino !== null) return one.ino === other.ino && one.dev === other.dev;
  return one.birthtime?.getTime() === other.birthtime?.getTime();
}

/** Waits for the next look, or for the signal. */
async function pause(signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, POLL_MS);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}
