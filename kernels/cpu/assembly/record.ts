// An op record: 32 words. Word 0 is the kind, 1 the items (independent pieces of work), 2 the grain (items a chunk),
// and the op's arguments follow, numbered from 0.

/** Bytes from record to record. */
export const RECORD_BYTES: usize = 128;

// @ts-ignore: decorator
@inline
export function kindOf(rec: usize): u32 {
  return load<u32>(rec);
}

// @ts-ignore: decorator
@inline
export function itemsOf(rec: usize): u32 {
  return load<u32>(rec, 4);
}

// @ts-ignore: decorator
@inline
export function grainOf(rec: usize): u32 {
  return load<u32>(rec, 8);
}

/** Argument `index`: an address or a count. */
// @ts-ignore: decorator
@inline
export function arg(rec: usize, index: u32): u32 {
  return load<u32>(rec + (index << 2), 12);
}

/** Argument `index`: a float. */
// @ts-ignore: decorator
@inline
export function argF32(rec: usize, index: u32): f32 {
  return load<f32>(rec + (index << 2), 12);
}
