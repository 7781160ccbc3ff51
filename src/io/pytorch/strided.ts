/** A view of elements in a row of them: what PyTorch's `as_strided` describes. */
export interface Layout {
  /** Sizes, outermost first. */
  readonly shape: readonly number[];
  /** Elements between neighbours along each dimension, 0 or more. */
  readonly strides: readonly number[];
}

/** Whether the elements follow one another in row-major order. */
export function isContiguous({ shape, strides }: Layout): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const size = shape[i] ?? 0;
    if (size !== 1 && strides[i] !== expected) return false;
    expected *= size;
  }
  return true;
}

/** How many elements lie from the first to the last that the layout touches; 0 where it is empty. */
export function spanElements({ shape, strides }: Layout): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((span, size, i) => span + (size - 1) * (strides[i] ?? 0), 1);
}

/**
 * Elements [first, last) in row-major order, copied together from where their layout has them.
 *
 * @param layout Where the elements are, counted from the start of what `readSpan` reads.
 * @param elementBytes 1, 2, 4 or 8.
 * @param first Index of the first element wanted.
 * @param last Index after the last.
 * @param readSpan Reads elements [offset, offset + length) of the storage; called at most once, for
 * no more than the outermost rows that hold the elements wanted.
 * @returns Their bytes.
 */
export async function gather(
  layout: Layout,
  elementBytes: number,
  first: number,
  last: number,
  readSpan: (offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer>> {
  if (first === last) return new Uint8Array();
  const rows = layout.shape[0] ?? 1;
  const rowElements = layout.shape.slice(1).reduce((product, size) => product * size, 1);
  const rowStride = layout.strides[0] ?? 0;
  const firstRow = Math.floor(first / rowElements);
  const lastRow = Math.min(rows, Math.ceil(last / rowElements));
  const part: Layout = {
    shape: [lastRow - firstRow, ...layout.shape.slice(1)],
    strides: [rowStride, ...layout.strides.slice(1)],
  };
  const source = await readSpan(firstRow * rowStride, spanElements(part));
  const skipped = first - firstRow * rowElements;
  // Eight-byte elements move as two words: copying them as f64 could change the bits of a NaN.
  if (elementBytes === 8) {
    const words: Layout = {
      shape: [...part.shape, 2],
      strides: [...part.strides.map((stride) => stride * 2), 1],
    };
    const out = new Uint32Array((last - first) * 2);
    copyElements(new Uint32Array(...aligned(source, 4)), words, skipped * 2, out);
    return new Uint8Array(out.buffer);
  }
  if (elementBytes === 4) {
    const out = new Uint32Array(last - first);
    copyElements(new Uint32Array(...aligned(source, 4)), part, skipped, out);
    return new Uint8Array(out.buffer);
  }
  if (elementBytes === 2) {
    const out = new Uint16Array(last - first);
    copyElements(new Uint16Array(...aligned(source, 2)), part, skipped, out);
    return new Uint8Array(out.buffer);
  }
  const out = new Uint8Array(last - first);
  copyElements(source, part, skipped, out);
  return out;
}

type Elements = Uint8Array | Uint16Array | Uint32Array;

/** Fills `out` with the elements from index `first` on, in row-major order. */
function copyElements(source: Elements, layout: Layout, first: number, out: Elements): void {
  const { shape, strides } = layout;
  const rank = shape.length;
  // Where `first` is: its index along each dimension, and its place in the source.
  const index = new Array<number>(rank).fill(0);
  let place = 0;
  for (let i = rank - 1, rest = first; i >= 0; i--) {
    const size = shape[i] ?? 1;
    index[i] = rest % size;
    rest = Math.floor(rest / size);
    place += (index[i] ?? 0) * (strides[i] ?? 0);
  }
  const innerSize = shape[rank - 1] ?? 1;
  const innerStride = strides[rank - 1] ?? 0;
  for (let filled = 0; filled < out.length;) {
    const count = Math.min(innerSize - (index[rank - 1] ?? 0), out.length - filled);
    for (let i = 0; i < count; i++, place += innerStride) out[filled++] = source[place] ?? 0;
    // Like a counter: the innermost index wraps, and carries into the one before it.
    index[rank - 1] = innerSize;
    for (let i = rank - 1; i > 0 && index[i] === shape[i]; i--) {
      place += (strides[i - 1] ?? 0) - (shape[i] ?? 0) * (strides[i] ?? 0);
      index[i] = 0;
      index[i - 1] = (index[i - 1] ?? 0) + 1;
    }
  }
}

function aligned(bytes: Uint8Array<ArrayBuffer>, width: number): [ArrayBuffer, number, number] {
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  return [buffer, byteOffset, byteLength / width];
}
