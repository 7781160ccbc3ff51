/** Rows of `width` at a distance of `stride`, with `gap` before and between them. */
export function spreadRows(
  rows: Float32Array | Float64Array,
  width: number,
  stride: number,
  gap: number,
  offset = 0,
): Float32Array {
  const count = rows.length / width;
  const spread = new Float32Array(offset + (count - 1) * stride + width).fill(gap);
  for (let row = 0; row < count; row++) {
    spread.set(rows.subarray(row * width, (row + 1) * width), offset + row * stride);
  }
  return spread;
}
