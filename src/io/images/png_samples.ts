/** What a PNG's decompressed data holds: rows of filtered bytes, in one pass or in seven, as samples of pixels. */

/** The first chunk of a PNG. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Bits a sample. */
  readonly depth: number;
  /** 0 grey, 2 RGB, 3 index into a palette, 4 grey and alpha, 6 RGB and alpha. */
  readonly colorType: number;
  readonly interlaced: boolean;
}

/** Samples of a pixel, and the depths that there are, by color type. */
const COLOR_TYPES: ReadonlyMap<
  number,
  { readonly samples: number; readonly depths: readonly number[] }
> = new Map([
  [0, { samples: 1, depths: [1, 2, 4, 8, 16] }],
  [2, { samples: 3, depths: [8, 16] }],
  [3, { samples: 1, depths: [1, 2, 4, 8] }],
  [4, { samples: 2, depths: [8, 16] }],
  [6, { samples: 4, depths: [8, 16] }],
]);

/**
 * Reads the header's fields.
 *
 * @param data The 13 bytes.
 * @param fail Makes the error from what was found.
 */
export function parseHeader(data: DataView, fail: (found: string) => Error): PngHeader {
  const [depth, colorType, compression, filter, interlace] = [8, 9, 10, 11, 12].map((at) =>
    data.getUint8(at)
  );
  const type = COLOR_TYPES.get(colorType ?? -1);
  if (type === undefined) throw fail(`color type ${colorType}`);
  if (!type.depths.includes(depth ?? 0)) {
    throw fail(`${depth} bits a sample of color type ${colorType}`);
  }
  if (compression !== 0) throw fail(`compression method ${compression}`);
  if (filter !== 0) throw fail(`filter method ${filter}`);
  if (interlace !== 0 && interlace !== 1) throw fail(`interlace method ${interlace}`);
  return {
    width: data.getUint32(0),
    height: data.getUint32(4),
    depth: depth ?? 0,
    colorType: colorType ?? 0,
    interlaced: interlace === 1,
  };
}

/** Samples of a pixel. */
export function samplesOf({ colorType }: PngHeader): number {
  return COLOR_TYPES.get(colorType)?.samples ?? 0;
}

/** One pass over the image: which pixels it has. */
interface Pass {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
}

const WHOLE: readonly Pass[] = [{ x: 0, y: 0, dx: 1, dy: 1 }];
/** Adam7. */
const SEVEN: readonly Pass[] = [
  { x: 0, y: 0, dx: 8, dy: 8 },
  { x: 4, y: 0, dx: 8, dy: 8 },
  { x: 0, y: 4, dx: 4, dy: 8 },
  { x: 2, y: 0, dx: 4, dy: 4 },
  { x: 0, y: 2, dx: 2, dy: 4 },
  { x: 1, y: 0, dx: 2, dy: 2 },
  { x: 0, y: 1, dx: 1, dy: 2 },
];

/** The passes that have pixels, with the rows that they have of them. */
function passesOf(
  header: PngHeader,
): (Pass & { columns: number; rows: number; rowBytes: number })[] {
  const bits = samplesOf(header) * header.depth;
  return (header.interlaced ? SEVEN : WHOLE).map((pass) => {
    const columns = Math.max(0, Math.ceil((header.width - pass.x) / pass.dx));
    const rows = Math.max(0, Math.ceil((header.height - pass.y) / pass.dy));
    return { ...pass, columns, rows, rowBytes: Math.ceil(columns * bits / 8) };
  }).filter(({ columns, rows }) => columns > 0 && rows > 0);
}

/** Bytes that the data must hold: the filtered rows of every pass, each after its filter's number. */
export function dataBytes(header: PngHeader): number {
  return passesOf(header).reduce((sum, { rows, rowBytes }) => sum + rows * (rowBytes + 1), 0);
}

/**
 * Takes filters and passes back.
 *
 * @param header The header.
 * @param data {@linkcode dataBytes} bytes, which are changed.
 * @param fail Makes the error from what was found.
 * @returns Samples (height, width, samples a pixel), each from 0 to 2^depth - 1.
 */
export function readSamples(
  header: PngHeader,
  data: Uint8Array,
  fail: (found: string) => Error,
): Uint8Array | Uint16Array {
  const { width, height, depth } = header;
  const count = samplesOf(header);
  const samples = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * count);
  const pixelBytes = Math.max(1, count * depth / 8);
  let offset = 0;
  for (const { x, y, dx, dy, columns, rows, rowBytes } of passesOf(header)) {
    let above: Uint8Array = new Uint8Array(rowBytes);
    for (let r = 0; r < rows; r++) {
      const row = data.subarray(offset + 1, offset + 1 + rowBytes);
      unfilter(data[offset] ?? 0, row, above, pixelBytes, fail);
      let to = ((y + r * dy) * width + x) * count;
      for (let i = 0; i < columns * count; to += (dx - 1) * count) {
        for (let c = 0; c < count; c++) samples[to++] = sampleAt(row, i++, depth);
      }
      above = row;
      offset += rowBytes + 1;
    }
  }
  return samples;
}

function sampleAt(row: Uint8Array, index: number, depth: number): number {
  if (depth === 8) return row[index] ?? 0;
  if (depth === 16) return (row[2 * index] ?? 0) << 8 | (row[2 * index + 1] ?? 0);
  const bit = index * depth;
  return (row[bit >> 3] ?? 0) >> (8 - depth - (bit & 7)) & (1 << depth) - 1;
}

/** Each byte is kept as what it differs by from a guess: its left, upper and upper left neighbors make it. */
function unfilter(
  filter: number,
  row: Uint8Array,
  above: Uint8Array,
  pixelBytes: number,
  fail: (found: string) => Error,
): void {
  if (filter > 4) throw fail(`a row has filter ${filter}, and there are 0 to 4`);
  if (filter === 0) return;
  for (let i = 0; i < row.length; i++) {
    const left = i < pixelBytes ? 0 : row[i - pixelBytes] ?? 0;
    const up = above[i] ?? 0;
    const corner = i < pixelBytes ? 0 : above[i - pixelBytes] ?? 0;
    const guess = filter === 1
      ? left
      : filter === 2
      ? up
      : filter === 3
      ? left + up >> 1
      : paeth(left, up, corner);
    row[i] = (row[i] ?? 0) + guess;
  }
}

/** The neighbor that is nearest to left + up - corner. */
function paeth(left: number, up: number, corner: number): number {
  const byLeft = Math.abs(up - corner), byUp = Math.abs(left - corner);
  const byCorner = Math.abs(left + up - 2 * corner);
  if (byLeft <= byUp && byLeft <= byCorner) return left;
  return byUp <= byCorner ? up : corner;
}
