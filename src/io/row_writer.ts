/** A safetensors file of one tensor, written as its rows come: never the whole of it in memory. */

import { writeError } from "./write_error.ts";

/** Writes the rows of one f32 tensor. Disposing it without `close` leaves no file behind. */
export interface RowWriter extends AsyncDisposable {
  /** Appends elements; their number is up to the caller. */
  write(values: Float32Array): Promise<void>;
  /**
   * Checks that the tensor is complete, and puts the file in its final place.
   *
   * @throws {RangeError} If too few or too many elements were written.
   */
  close(): Promise<void>;
}

/**
 * Begins a safetensors file with one f32 tensor, little-endian as every machine that Deno runs on. It is written beside its final place, and renamed at the end.
 *
 * @param path The file to be made; one that is there is replaced.
 * @param name The tensor's name.
 * @param shape The tensor's shape, outermost first.
 * @returns What writes its elements, in row-major order.
 */
export async function createRowWriter(
  path: string,
  name: string,
  shape: readonly number[],
): Promise<RowWriter> {
  const sizeBytes = shape.reduce((product, size) => product * size, 4);
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  const file = await open(temporary, path);
  const writer = file.writable.getWriter();
  let writtenBytes = 0, isOpen = true;
  const writeBytes = async (bytes: Uint8Array): Promise<void> => {
    try {
      await writer.write(bytes);
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      throw writeError(path, temporary, error);
    }
  };
  await writeBytes(encodeHeader(name, shape, sizeBytes));
  return {
    async write(values) {
      await writeBytes(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      writtenBytes += values.byteLength;
    },
    async close() {
      if (writtenBytes !== sizeBytes) {
        throw new RangeError(
          `Cannot write "${path}": ${writtenBytes} bytes came, and shape [${shape.join(", ")}] ` +
            `needs ${sizeBytes}`,
        );
      }
      isOpen = false;
      try {
        await writer.close();
        await Deno.rename(temporary, path);
      } catch (error) {
        await Deno.remove(temporary).catch(() => {});
        throw writeError(path, temporary, error);
      }
    },
    async [Symbol.asyncDispose]() {
      if (!isOpen) return;
      isOpen = false;
      await writer.close().catch(() => {});
      await Deno.remove(temporary).catch(() => {});
    },
  };
}

async function open(temporary: string, path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(temporary, { write: true, createNew: true });
  } catch (error) {
    throw writeError(path, temporary, error);
  }
}

/** Eight bytes of length, then JSON, padded so that the data begins at a multiple of eight. */
function encodeHeader(name: string, shape: readonly number[], sizeBytes: number): Uint8Array {
  const json = JSON.stringify({ [name]: { dtype: "F32", shape, data_offsets: [0, sizeBytes] } });
  const text = new TextEncoder().encode(json);
  const header = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(text, 8);
  return header;
}
