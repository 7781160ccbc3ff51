/** Files in Node, for reading alone: Deno's own are in file_source.ts. */

import { type ByteSource, checkReadRange } from "./byte_source.ts";
import { quote } from "./quote.ts";

/** Of Node's `fs/promises`, what is used here: a page's bundle is to import nothing of Node. */
interface NodeFileSystem {
  open(path: string | URL): Promise<NodeFile>;
  stat(path: string | URL): Promise<NodeFileInfo>;
}

interface NodeFile {
  read(
    into: Uint8Array,
    at: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number }>;
  close(): Promise<void>;
}

interface NodeFileInfo {
  readonly size: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

/** What is at a path. */
export type NodeEntry =
  | { readonly kind: "folder" }
  | { readonly kind: "file"; readonly sizeBytes: number };

const { Deno: deno, process } = globalThis as {
  Deno?: unknown;
  process?: { getBuiltinModule?: (name: "fs/promises") => NodeFileSystem };
};

const FILES = deno === undefined ? process?.getBuiltinModule?.("fs/promises") : undefined;

/** Whether this is Node, or something that has its files. */
export const HAS_NODE_FILES: boolean = FILES !== undefined;

/**
 * Looks what there is.
 *
 * @returns Undefined where there is nothing.
 * @throws {TypeError} If it is a pipe or a device, which would be waited for without a word.
 */
export async function nodeEntry(path: string | URL): Promise<NodeEntry | undefined> {
  const info = await FILES?.stat(path).catch(ignoreMissing);
  if (info === undefined) return undefined;
  if (info.isDirectory()) return { kind: "folder" };
  if (info.isFile()) return { kind: "file", sizeBytes: info.size };
  throw new TypeError(`Cannot read ${quote(String(path))}: it is neither a file nor a folder`);
}

/** Opens a file for reading at any offset; undefined where there is none. */
export async function openNodeFile(path: string | URL): Promise<ByteSource | undefined> {
  const entry = await nodeEntry(path);
  if (entry?.kind !== "file") return undefined;
  const { sizeBytes } = entry;
  const name = String(path);
  const file = await FILES?.open(path);
  return {
    name,
    sizeBytes,
    async read(offset, length) {
      checkReadRange(name, sizeBytes, offset, length);
      const bytes = new Uint8Array(length);
      for (let filled = 0; filled < length;) {
        const got = await file?.read(bytes, filled, length - filled, offset + filled);
        if (!got?.bytesRead) {
          throw new RangeError(
            `Cannot read ${quote(name)}: it ended at byte ${
              offset + filled
            }, and had ${sizeBytes} ` +
              `bytes when it was opened: something is changing it`,
          );
        }
        filled += got.bytesRead;
      }
      return bytes;
    },
    [Symbol.dispose]: () => void file?.close(),
  };
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}
