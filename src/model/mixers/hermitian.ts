/** Eigenvalues of small Hermitian matrices, in float64. */

/** A complex number. */
export type Complex = readonly [re: number, im: number];

/** Of one matrix. */
export interface Eigen {
  /** All eigenvalues, in no order. */
  readonly values: readonly number[];
  /** Of each an eigenvector, of length 1. */
  readonly vectors: readonly (readonly Complex[])[];
}

/** Sweeps over the matrix: convergence is quadratic, and 64 rows take eight. */
const MAX_SWEEPS = 60;

/**
 * Jacobi's method: rotations of two rows and columns at a time, each of which makes one element zero.
 *
 * @param element An element on or above the diagonal; those below are its conjugates.
 */
export function eigenOfHermitian(
  size: number,
  element: (row: number, column: number) => Complex,
): Eigen {
  const matrix = new Rows(size, (row, column) => {
    if (row <= column) return element(row, column);
    const [re, im] = element(column, row);
    return [re, -im];
  });
  const vectors = new Rows(size, (row, column) => [Number(row === column), 0]);
  let scale = 0;
  for (const value of [...matrix.re, ...matrix.im]) scale = Math.max(scale, Math.abs(value));
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    let largest = 0;
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) largest = Math.max(largest, rotate(matrix, vectors, p, q));
    }
    if (largest <= 1e-15 * scale) break;
  }
  const rows = Array.from({ length: size }, (_, row) => row);
  return {
    values: rows.map((row) => matrix.at(row, row)[0]),
    vectors: rows.map((column) => rows.map((row) => vectors.at(row, column))),
  };
}

/** Makes element (p, q) zero, and gives how large it was. */
function rotate(matrix: Rows, vectors: Rows, p: number, q: number): number {
  const [re, im] = matrix.at(p, q);
  const size = Math.hypot(re, im);
  if (size === 0) return 0;
  const tau = (matrix.at(q, q)[0] - matrix.at(p, p)[0]) / (2 * size);
  const t = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.hypot(1, tau));
  const c = 1 / Math.hypot(1, t);
  const turn: Complex = [t * c * re / size, t * c * im / size];
  matrix.rotateColumns(p, q, c, turn);
  matrix.rotateRows(p, q, c, turn);
  vectors.rotateColumns(p, q, c, turn);
  return size;
}

/** A square complex matrix. */
class Rows {
  readonly re: Float64Array;
  readonly im: Float64Array;
  readonly #size: number;

  constructor(size: number, element: (row: number, column: number) => Complex) {
    this.#size = size;
    this.re = new Float64Array(size * size);
    this.im = new Float64Array(size * size);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const index = row * size + column;
        [this.re[index], this.im[index]] = element(row, column);
      }
    }
  }

  at(row: number, column: number): Complex {
    const index = row * this.#size + column;
    return [this.re[index] ?? NaN, this.im[index] ?? NaN];
  }

  /** Column p becomes c p - conj(s) q, and column q s p + c q. */
  rotateColumns(p: number, q: number, c: number, s: Complex): void {
    for (let row = 0; row < this.#size; row++) {
      this.#rotate(row * this.#size + p, row * this.#size + q, c, s);
    }
  }

  /** The same of rows, conjugated: so that the matrix stays Hermitian. */
  rotateRows(p: number, q: number, c: number, [re, im]: Complex): void {
    for (let column = 0; column < this.#size; column++) {
      this.#rotate(p * this.#size + column, q * this.#size + column, c, [re, -im]);
    }
  }

  #rotate(p: number, q: number, c: number, [s, z]: Complex): void {
    const [a, b] = [this.re[p] ?? NaN, this.im[p] ?? NaN];
    const [x, y] = [this.re[q] ?? NaN, this.im[q] ?? NaN];
    this.re[p] = c * a - (s * x + z * y);
    this.im[p] = c * b - (s * y - z * x);
    this.re[q] = s * a - z * b + c * x;
    this.im[q] = s * b + z * a + c * y;
  }
}
