import { at } from "./at.ts";

/** Sizes of a quantized weight: (rows, columns) values, in groups along a row. */
export interface QuantizedShape {
  rows: number;
  columns: number;
  bits: 4 | 8;
}

/**
 * What quantized weights stand for: code times the scale of its group of 32, exactly.
 *
 * @param codes (rows, groups * 32 * bits / 8) bytes. Of 8 bits: two's complement. Of 4: byte i of every four holds
 * value i in its low half and value i + 4 in its high half, of eight consecutive ones, each 8 too large.
 * @param scales (rows, groups)
 * @returns (rows, columns)
 */
export function dequantize(
  codes: ArrayLike<number>,
  scales: ArrayLike<number>,
  { rows, columns, bits }: QuantizedShape,
): Float64Array<ArrayBuffer> {
  const groups = Math.ceil(columns / 32);
  const values = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const place = row * groups * 32 + column;
      const byte = bits === 8 ? at(codes, place) : at(codes, (place - place % 8) / 2 + place % 4);
      const code = bits === 8
        ? (byte < 128 ? byte : byte - 256)
        : (place % 8 < 4 ? byte % 16 : Math.floor(byte / 16)) - 8;
      values[row * columns + column] = code * at(scales, row * groups + Math.floor(column / 32));
    }
  }
  return values;
}
