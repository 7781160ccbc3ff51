/** Whether a path is a file that ends: a pipe or a device would be waited for without a word. */

import { quote } from "./quote.ts";

/**
 * Refuses at once what is no plain file.
 *
 * @param path A path, or a `file:` URL.
 * @param action What was to be done, such as "read".
 * @returns The file's length.
 * @throws {Deno.errors.NotFound} If there is nothing.
 * @throws {TypeError} If it is a folder, a pipe, a socket or a device.
 * @throws {Deno.errors.FilesystemLoop} If symbolic links lead in a circle.
 */
export async function requireRegularFile(
  path: string | URL,
  action = "read",
): Promise<{ readonly sizeBytes: number }> {
  const name = typeof path === "string" ? path : decodeURIComponent(path.pathname);
  const info = await Deno.stat(path).catch((cause) => {
    throw cause instanceof Deno.errors.FilesystemLoop ? linkLoop(name, action, cause) : cause;
  });
  if (info.isFile) return { sizeBytes: info.size };
  const kind = info.isDirectory
    ? "a folder"
    : info.isFifo
    ? "a pipe (fifo)"
    : info.isSocket
    ? "a socket"
    : "a device";
  throw new TypeError(`Cannot ${action} ${quote(name)}: it is ${kind}, expected a file`);
}

/** The error of a link that leads to itself, in one line that says so. */
export function linkLoop(name: string, action: string, cause: unknown): Error {
  return new Deno.errors.FilesystemLoop(
    `Cannot ${action} ${quote(name)}: its symbolic links lead in a circle`,
    { cause },
  );
}
