// Up to four floats at a time, where a row ends within a vector.

/** The first `count` of four floats, the others 0; all four where there are more. */
// @ts-ignore: decorator
@inline
export function loadLanes(address: usize, count: u32): v128 {
  return count >= 4 ? v128.load(address) : loadPart(address, count, 0);
}

/** The same, with something else in place of the others. */
// @ts-ignore: decorator
@inline
export function loadLanesOr(address: usize, count: u32, other: f32): v128 {
  return count >= 4 ? v128.load(address) : loadPart(address, count, other);
}

/** Writes the first `count` of four floats, all four where there is place for more. */
// @ts-ignore: decorator
@inline
export function storeLanes(address: usize, count: u32, values: v128): void {
  if (count >= 4) v128.store(address, values);
  else storePart(address, count, values);
}

function loadPart(address: usize, count: u32, other: f32): v128 {
  let values = v128.load32_lane(address, f32x4.splat(other), 0);
  if (count > 1) values = v128.load32_lane(address, values, 1, 4);
  if (count > 2) values = v128.load32_lane(address, values, 2, 8);
  return values;
}

function storePart(address: usize, count: u32, values: v128): void {
  v128.store32_lane(address, values, 0);
  if (count > 1) v128.store32_lane(address, values, 1, 4);
  if (count > 2) v128.store32_lane(address, values, 2, 8);
}
