/** The items of an IDX file, as they come. */

import { ELEMENT_TYPES, type ElementType, MAX_DIMENSIONS } from "../datasets/idx.ts";
import { describeSize } from "../images/image.ts";
import type { ExpectedImage } from "../images/png.ts";
import { quote } from "../quote.ts";
import type { ByteReader } from "./byte_stream.ts";
import type { Values } from "./values.ts";

/**
 * Reads each item of the first dimension as a sequence: images, or rows of numbers.
 *
 * @throws {SyntaxError} If it is not IDX, or ends before its last item.
 * @throws {RangeError} If images are expected, and it holds others.
 */
export async function* readIdxItems(
  reader: ByteReader,
  image: ExpectedImage | undefined,
): AsyncGenerator<Values, void> {
  const { shape, type } = await readHeader(reader);
  const [count = 0, ...item] = shape;
  if (image !== undefined) requireImages(item, image, reader.name);
  const length = item.reduce((product, size) => product * size, 1);
  const isBytes = type === ELEMENT_TYPES.get(0x08);
  for (let i = 0; i < count && length > 0; i++) {
    for (let left = length; left > 0;) {
      const bytes = await reader.some(type.sizeBytes, left * type.sizeBytes);
      const elements = bytes.length / type.sizeBytes;
      if (bytes.length === 0 || !Number.isInteger(elements)) {
        throw new SyntaxError(
          `Cannot read ${quote(reader.name)} as IDX: it ends inside item ${i} of ${count}`,
        );
      }
      left -= elements;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const data = type.read(view, elements);
      yield { values: isBytes ? bytes : Float32Array.from(data), ends: left === 0 };
    }
  }
  if ((await reader.peek(1)).length > 0) {
    throw new SyntaxError(
      `Cannot read ${
        quote(reader.name)
      } as IDX: it goes on after its last item, at byte ${reader.position}`,
    );
  }
}

async function readHeader(
  reader: ByteReader,
): Promise<{ readonly shape: readonly number[]; readonly type: ElementType }> {
  const magic = await reader.take(4, "a magic number");
  const [zero0, zero1, code = 0, rank = 0] = magic;
  const type = ELEMENT_TYPES.get(code);
  if (zero0 !== 0 || zero1 !== 0 || type === undefined || rank < 1 || rank > MAX_DIMENSIONS) {
    const found = [...magic].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new SyntaxError(
      `Cannot read ${
        quote(reader.name)
      } as IDX: it begins with ${found}, expected 00 00, an element type (08 to 0e) and ` +
        `a rank of 1 to ${MAX_DIMENSIONS}`,
    );
  }
  const sizes = await reader.take(4 * rank, "the sizes");
  const view = new DataView(sizes.buffer, sizes.byteOffset, sizes.length);
  return { shape: Array.from({ length: rank }, (_, i) => view.getUint32(4 * i)), type };
}

function requireImages(item: readonly number[], image: ExpectedImage, name: string): void {
  const { width, height, channels } = image;
  const [rows, columns, samples = 1] = item;
  if (item.length <= 3 && rows === height && columns === width && samples === channels) return;
  throw new RangeError(
    `Cannot use ${quote(name)}: its items are of shape [${
      item.join(", ")
    }], and this model takes images of ` +
      describeSize(width, height, channels),
  );
}
