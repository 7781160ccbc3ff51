/** PNG files one behind the other. */

import { quote } from "../quote.ts";
import { isPng } from "../images/png.ts";
import type { ByteReader } from "./byte_stream.ts";

/** Bytes of a file at most: it is held whole, and its sizes may be made up. */
const MOST_BYTES = 2 ** 26;

/**
 * Takes the next file, whole.
 *
 * @returns Nothing at the end.
 * @throws {SyntaxError} If what follows is no PNG, or ends inside of it.
 */
export async function readPng(reader: ByteReader): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const signature = await reader.peek(8);
  if (signature.length === 0) return undefined;
  if (!isPng(signature)) {
    throw new SyntaxError(
      `Cannot read ${
        quote(reader.name)
      } as PNG: the PNG signature is missing at byte ${reader.position}`,
    );
  }
  const parts = [await reader.take(8, "a signature")];
  let sum = 8;
  for (let type = ""; type !== "IEND";) {
    const head = await reader.peek(8);
    if (head.length < 8) await reader.take(8, "the head of a chunk");
    type = String.fromCharCode(...head.subarray(4));
    const length = 12 + new DataView(head.buffer, head.byteOffset, head.length).getUint32(0);
    sum += length;
    if (sum > MOST_BYTES) {
      throw new SyntaxError(
        `Cannot read ${
          quote(reader.name)
        } as PNG: a file of more than ${MOST_BYTES} bytes, which is the most`,
      );
    }
    parts.push(await reader.take(length, "a chunk"));
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
