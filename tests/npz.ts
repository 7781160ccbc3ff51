/** Reads .npz files: uncompressed or deflated zips of NumPy arrays. */

/** An array of numbers, row-major. */
export interface NumpyArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

/** The arrays of a file by name. */
export async function npzArrays(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Readonly<Record<string, NumpyArray>>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const end = bytes.length - 22;
  const count = view.getUint16(end + 10, true);
  const arrays: Record<string, NumpyArray> = {};
  let place = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    const size = view.getUint32(place + 20, true);
    const lengths = [28, 30, 32].map((at) => view.getUint16(place + at, true));
    const [nameLength = 0, extra = 0, comment = 0] = lengths;
    const name = new TextDecoder().decode(bytes.subarray(place + 46, place + 46 + nameLength));
    const local = view.getUint32(place + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const stored = bytes.subarray(start, start + size);
    const isDeflated = view.getUint16(place + 10, true) === 8;
    arrays[name.replace(/\.npy$/, "")] = npyArray(isDeflated ? await inflate(stored) : stored);
    place += 46 + nameLength + extra + comment;
  }
  return arrays;
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function npyArray(bytes: Uint8Array<ArrayBuffer>): NumpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.getUint16(8, true);
  const header = new TextDecoder().decode(bytes.subarray(10, 10 + length));
  const shape = (/'shape': \(([^)]*)\)/.exec(header)?.[1] ?? "").split(",")
    .filter((size) => size.trim() !== "").map(Number);
  const own = bytes.slice(10 + length).buffer;
  const type = /'descr': '([^']*)'/.exec(header)?.[1];
  const isFortran = header.includes("'fortran_order': True");
  const ordered = <T extends Float32Array | Int32Array>(data: T): NumpyArray => ({
    shape,
    data: isFortran ? inRowOrder(data, shape) : data,
  });
  if (type === "<f4") return ordered(new Float32Array(own));
  if (type === "<i4") return ordered(new Int32Array(own));
  throw new TypeError(`Cannot read an array of NumPy: its type is ${type}, expected <f4 or <i4`);
}

/** The same array, of which the first index was the one that moved fastest. */
function inRowOrder<T extends Float32Array | Int32Array>(data: T, shape: readonly number[]): T {
  const ordered = data.slice();
  for (let i = 0; i < data.length; i++) {
    let [rest, from, stride] = [i, 0, data.length];
    for (const size of shape.toReversed()) {
      stride /= size;
      from += rest % size * stride;
      rest = Math.floor(rest / size);
    }
    ordered[i] = data[from] ?? NaN;
  }
  return ordered as T;
}
