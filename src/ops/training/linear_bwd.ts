/** matmul_bwd_x, matmul_bwd_w and column_sum: the gradients of y = x weight^T + bias. */

import type { Gpu } from "../../gpu/device.ts";
import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import columnSumSource from "../../../kernels/column_sum.wgsl" with { type: "text" };
import matmulBwdWSource from "../../../kernels/matmul_bwd_w.wgsl" with { type: "text" };
import matmulBwdXSource from "../../../kernels/matmul_bwd_x.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import type { LinearShape } from "../linear.ts";
import {
  areMultiplesOf4,
  cheaperTile,
  type MatmulTile,
  matmulTile,
  tileCount,
} from "../matmul_tile.ts";
import type { Matrix } from "../matrix.ts";
import { sumPartials } from "../sum_partials.ts";
import { byVec4sOrElements } from "../placeholders.ts";

/** The gradient of x. */
export const matmulBwdXKernel = defineKernel({
  name: "matmul_bwd_x",
  source: matmulBwdXSource,
  preludes: ["_tile", "_matmul"],
  bindings: {
    grad_y: "read",
    weight: "read",
    grad_x: "read_write",
    grad_x_elements: "read_write",
  },
  params: { rows: "u32", ld_x: "u32", x_offset: "u32", ld_y: "u32" },
  overrides: ["D_IN", "D_OUT", "W_STRIDE", "WIDE", "Y_ALIGNED", "X_ALIGNED", "ACCUMULATE"],
  sizes: ({ D_IN, D_OUT, W_STRIDE, X_ALIGNED, rows, ld_x, x_offset, ld_y }) => {
    const grad_x = x_offset + (rows - 1) * ld_x + D_IN;
    return {
      grad_y: (rows - 1) * ld_y + D_OUT,
      weight: D_OUT * W_STRIDE,
      grad_x: X_ALIGNED ? grad_x : 0,
      grad_x_elements: X_ALIGNED ? 0 : grad_x,
    };
  },
});

/** The gradient of the weight, by parts of the rows. */
export const matmulBwdWKernel = defineKernel({
  name: "matmul_bwd_w",
  source: matmulBwdWSource,
  preludes: ["_tile", "_matmul"],
  bindings: { grad_y: "read", x: "read", partials: "read_write" },
  params: { rows: "u32", ld_x: "u32", x_offset: "u32", ld_y: "u32", rows_per_part: "u32" },
  overrides: ["D_IN", "D_OUT", "W_STRIDE", "WIDE", "Y_ALIGNED", "X_ALIGNED", "ACCUMULATE"],
  sizes: ({ D_IN, D_OUT, W_STRIDE, rows, ld_x, x_offset, ld_y }, [, , parts]) => ({
    grad_y: (rows - 1) * ld_y + D_OUT,
    x: x_offset + (rows - 1) * ld_x + D_IN,
    partials: parts * D_OUT * W_STRIDE,
  }),
});

/** Sums of columns, by parts of the rows. */
export const columnSumKernel = defineKernel({
  name: "column_sum",
  source: columnSumSource,
  bindings: { x: "read", partials: "write" },
  params: { rows: "u32", ld_x: "u32", rows_per_part: "u32" },
  overrides: ["COLUMNS"],
  sizes: ({ COLUMNS, rows, ld_x }, [, parts]) => ({
    x: (rows - 1) * ld_x + COLUMNS,
    partials: parts * COLUMNS,
  }),
});

/** How x and y lay in memory in the forward, and so their gradients now. */
export interface LinearBwdShape extends Omit<LinearShape, "residual"> {
  /** Adds to the gradient instead of overwriting it; default false. */
  readonly accumulate?: boolean;
}

/**
 * grad_x (rows, in) = grad_y (rows, out) weight.
 *
 * @param tensors `weight` is f32 in one block.
 * @param tile The side of the tiles; default: by shape.
 * @throws {TypeError} If the weight is split or not f32.
 */
export function matmulBwdX(
  program: Program,
  tensors: { readonly grad_y: Tensor; readonly weight: Matrix; readonly grad_x: Tensor },
  shape: LinearBwdShape,
  tile?: MatmulTile,
): void {
  const { grad_y, weight, grad_x } = tensors;
  const { rows, label, accumulate = false } = shape;
  const { columns: d_in, rows: d_out, stride } = weight;
  const { ldX = d_in, xOffset = 0, ldY = d_out } = shape;
  const side = tile ?? matmulTile(program.gpu, { rows, columns: d_in, depth: d_out });
  const isAligned = areMultiplesOf4(d_in, ldX, xOffset);
  const [vec4s, elements] = byVec4sOrElements(program.gpu, grad_x, isAligned);
  program.add(matmulBwdXKernel, {
    tensors: {
      grad_y,
      weight: oneBlock(weight, label),
      grad_x: vec4s,
      grad_x_elements: elements,
    },
    overrides: {
      D_IN: d_in,
      D_OUT: d_out,
      W_STRIDE: stride,
      WIDE: side === 128,
      Y_ALIGNED: areMultiplesOf4(d_out, ldY),
      X_ALIGNED: isAligned,
      ACCUMULATE: accumulate,
    },
    params: { rows, ld_x: ldX, x_offset: xOffset, ld_y: ldY },
    workgroups: [Math.ceil(d_in / side), Math.ceil(rows / side), 1],
    label,
  });
}

/** How matmulBwdW() is spread over workgroups. */
export interface MatmulBwdWTiling {
  /** The side of the tiles of the weight. */
  readonly tile: MatmulTile;
  /** Parts of the rows; the partials are added up where there are several. */
  readonly parts: number;
}

/** Workgroups that an H100 runs at once: two of the large tile, four of the small on each of 132 multiprocessors. */
const BUSY_WORKGROUPS: Readonly<Record<MatmulTile, number>> = { 128: 264, 64: 528 };

/** A part of fewer rows costs more to add up than it gains. */
const MIN_ROWS_PER_PART = 256;

/** As many parts of the rows as fill a device once with all tiles of a weight (out, in). */
export function matmulBwdWTiling(
  gpu: Gpu,
  weight: Pick<Matrix, "rows" | "columns">,
  rows: number,
): MatmulBwdWTiling {
  const tile = cheaperTile(gpu, { rows: weight.rows, columns: weight.columns, depth: rows });
  const wanted = Math.floor(BUSY_WORKGROUPS[tile] / tileCount(tile, weight));
  const useful = Math.ceil(rows / MIN_ROWS_PER_PART);
  return { tile, parts: Math.max(1, Math.min(wanted, useful)) };
}

/** Elements of the scratch that matmulBwdW() needs: 0 where all rows are one part. */
export function matmulBwdWScratch(
  gpu: Gpu,
  weight: Pick<Matrix, "rows" | "columns" | "stride">,
  rows: number,
): number {
  const { parts } = matmulBwdWTiling(gpu, weight, rows);
  return parts === 1 ? 0 : parts * weight.rows * weight.stride;
}

/** Rows that the kernels' loops take at a time. */
const ROW_STEP = 16;

/**
 * grad_weight (out, in) = grad_y^T (out, rows) x (rows, in), summed in the same order every time.
 *
 * @param tensors `grad_weight` is f32 in one block, its padding zeros, and they stay zeros. `partials` is scratch of at
 * least {@linkcode matmulBwdWScratch} elements; all weights can share it.
 * @param tiling Default: {@linkcode matmulBwdWTiling}.
 * @throws {TypeError} If the gradient is split or not f32.
 * @throws {RangeError} If the partials do not fit in their scratch.
 */
export function matmulBwdW(
  program: Program,
  tensors: {
    readonly grad_y: Tensor;
    readonly x: Tensor;
    readonly grad_weight: Matrix;
    readonly partials?: Tensor | undefined;
  },
  shape: LinearBwdShape,
  tiling?: MatmulBwdWTiling,
): void {
  const { grad_y, x, grad_weight, partials } = tensors;
  const { rows, label, accumulate = false } = shape;
  const { columns: d_in, rows: d_out, stride } = grad_weight;
  const { ldX = d_in, xOffset = 0, ldY = d_out } = shape;
  const { tile, parts: wanted } = tiling ?? matmulBwdWTiling(program.gpu, grad_weight, rows);
  const { parts, rowsPerPart } = splitRows(rows, wanted);
  const size = d_out * stride;
  const y = oneBlock(grad_weight, label);
  const isSplit = parts > 1;
  program.add(matmulBwdWKernel, {
    tensors: { grad_y, x, partials: isSplit ? checkScratch(partials, parts * size, label) : y },
    overrides: {
      D_IN: d_in,
      D_OUT: d_out,
      W_STRIDE: stride,
      WIDE: tile === 128,
      Y_ALIGNED: areMultiplesOf4(d_out, ldY),
      X_ALIGNED: areMultiplesOf4(d_in, ldX, xOffset),
      ACCUMULATE: accumulate && !isSplit,
    },
    params: { rows, ld_x: ldX, x_offset: xOffset, ld_y: ldY, rows_per_part: rowsPerPart },
    workgroups: [Math.ceil(d_in / tile), Math.ceil(d_out / tile), parts],
    label,
  });
  if (isSplit && partials !== undefined) {
    sumPartials(program, { partials, y }, { parts, size, accumulate, label });
  }
}

/** Columns that a workgroup of column_sum has. */
const COLUMNS_PER_WORKGROUP = 32;

/** Parts of columnSum(): enough for a device to be busy with a few columns, and soon added up. */
const MAX_COLUMN_PARTS = 128;

function columnParts(rows: number): number {
  return Math.min(MAX_COLUMN_PARTS, Math.ceil(rows / MIN_ROWS_PER_PART));
}

/** Elements of the scratch that columnSum() needs. */
export function columnSumScratch(rows: number, columns: number): number {
  return splitRows(rows, columnParts(rows)).parts * columns;
}

/**
 * y (columns) = the sum of the rows of x, in the same order every time: the gradient of a bias, x being grad_y.
 *
 * @param tensors `partials` is scratch of at least {@linkcode columnSumScratch} elements.
 * @param shape Row r of x starts at element `r * ldX`, by default `columns`. `accumulate` (default false) adds to y.
 * @throws {RangeError} If the partials do not fit in their scratch.
 */
export function columnSum(
  program: Program,
  tensors: { readonly x: Tensor; readonly partials: Tensor; readonly y: Tensor },
  shape: {
    readonly rows: number;
    readonly columns: number;
    readonly ldX?: number;
    readonly accumulate?: boolean;
    readonly label: string;
  },
): void {
  const { x, partials, y } = tensors;
  const { rows, columns, ldX = columns, accumulate = false, label } = shape;
  const { parts, rowsPerPart } = splitRows(rows, columnParts(rows));
  program.add(columnSumKernel, {
    tensors: { x, partials: checkScratch(partials, parts * columns, label) },
    overrides: { COLUMNS: columns },
    params: { rows, ld_x: ldX, rows_per_part: rowsPerPart },
    workgroups: [Math.ceil(columns / COLUMNS_PER_WORKGROUP), parts, 1],
    label,
  });
  sumPartials(program, { partials, y }, { parts, size: columns, accumulate, label });
}

/** Parts of equal length, but for the last, none of them empty. */
function splitRows(rows: number, wanted: number): { parts: number; rowsPerPart: number } {
  const rowsPerPart = Math.ceil(rows / wanted / ROW_STEP) * ROW_STEP;
  return { parts: Math.ceil(rows / rowsPerPart), rowsPerPart };
}

function checkScratch(partials: Tensor | undefined, needed: number, label: string): Tensor {
  const found = (partials?.sizeBytes ?? 0) / 4;
  if (partials === undefined || found < needed) {
    throw new RangeError(
      `Cannot record ${label}: its partials have ${found} elements, and ${needed} are needed`,
    );
  }
  return partials;
}

function oneBlock(matrix: Matrix, label: string): Tensor {
  const [block] = matrix.blocks;
  if (block === undefined || matrix.blocks.length > 1 || matrix.dtype !== "f32") {
    throw new TypeError(
      `Cannot record ${label}: the matrix is ${matrix.dtype} in ${matrix.blocks.length} blocks, ` +
        "and its gradients need f32 in one",
    );
  }
  return block.tensor;
}
