// Columns 0 to 3 of four rows of four floats.

// @ts-ignore: decorator
@inline
export function transpose0(a: v128, b: v128, c: v128, d: v128): v128 {
  return lowerHalves(lowerPairs(a, b), lowerPairs(c, d));
}

// @ts-ignore: decorator
@inline
export function transpose1(a: v128, b: v128, c: v128, d: v128): v128 {
  return upperHalves(lowerPairs(a, b), lowerPairs(c, d));
}

// @ts-ignore: decorator
@inline
export function transpose2(a: v128, b: v128, c: v128, d: v128): v128 {
  return lowerHalves(upperPairs(a, b), upperPairs(c, d));
}

// @ts-ignore: decorator
@inline
export function transpose3(a: v128, b: v128, c: v128, d: v128): v128 {
  return upperHalves(upperPairs(a, b), upperPairs(c, d));
}

/** a0 b0 a1 b1 */
// @ts-ignore: decorator
@inline
function lowerPairs(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
}

/** a2 b2 a3 b3 */
// @ts-ignore: decorator
@inline
function upperPairs(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
}

// @ts-ignore: decorator
@inline
function lowerHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
}

// @ts-ignore: decorator
@inline
function upperHalves(a: v128, b: v128): v128 {
  return i8x16.shuffle(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
}
