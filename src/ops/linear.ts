/** matmul_fwd: y = x weight^T + bias for many rows, and what chooses between it and the matvec. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import matmulSplitSource from "../../kernels/matmul_split_fwd.wgsl" with { type: "text" };
import matmulSource from "../../kernels/matmul_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { areMultiplesOf4, type FwdTile, fwdTile, sideOf } from "./matmul_tile.ts";
import { blockWords, type Matrix, W_DTYPE } from "./matrix.ts";
import { matvecFwd } from "./matvec.ts";
import { byVec4sOrElements, placeholders } from "./placeholders.ts";
import { sumPartials } from "./sum_partials.ts";

/** Bindings of the kernels for many rows. */
const MATMUL_BINDINGS = {
  x: "read",
  weight: "read",
  bias: "read",
  y: "read_write",
  y_elements: "read_write",
} as const;

const MATMUL_PARAMS = { rows: "u32", ld_x: "u32", x_offset: "u32", ld_y: "u32" } as const;

const MATMUL_OVERRIDES = [
  "D_IN",
  "W_STRIDE",
  "W_DTYPE",
  "ROW_START",
  "ROWS",
  "X_ALIGNED",
  "Y_ALIGNED",
  "BIAS",
  "RESIDUAL",
] as const;

function matmulSizes(
  values: Readonly<
    Record<(typeof MATMUL_OVERRIDES)[number] | keyof typeof MATMUL_PARAMS, number>
  >,
): Record<keyof typeof MATMUL_BINDINGS, number> {
  const { D_IN, ROW_START, ROWS, BIAS, Y_ALIGNED, W_STRIDE, W_DTYPE } = values;
  const { rows, ld_x, x_offset, ld_y } = values;
  const y = (rows - 1) * ld_y + ROW_START + ROWS;
  return {
    x: x_offset + (rows - 1) * ld_x + D_IN,
    weight: blockWords(ROWS, W_STRIDE, W_DTYPE),
    bias: BIAS * (ROW_START + ROWS),
    y: Y_ALIGNED ? y : 0,
    y_elements: Y_ALIGNED ? 0 : y,
  };
}

/** The kernel for many rows. */
export const matmulFwdKernel = defineKernel({
  name: "matmul_fwd",
  source: matmulSource,
  preludes: ["_weight", "_linear", "_tile", "_matmul"],
  bindings: MATMUL_BINDINGS,
  params: MATMUL_PARAMS,
  overrides: [...MATMUL_OVERRIDES, "WIDE"],
  sizes: (values) => matmulSizes(values),
});

/** The kernel for many rows where the result is small. */
export const matmulSplitFwdKernel = defineKernel({
  name: "matmul_split_fwd",
  source: matmulSplitSource,
  preludes: ["_weight", "_linear", "_tile"],
  bindings: MATMUL_BINDINGS,
  params: MATMUL_PARAMS,
  overrides: [...MATMUL_OVERRIDES, "PARTS", "WIDE"],
  sizes: (values) => {
    const { y, y_elements, ...read } = matmulSizes(values);
    const more = (values.PARTS - 1) * values.rows * values.ld_y;
    return { ...read, y: y && y + more, y_elements: y_elements && y_elements + more };
  },
});

/** Up to this many rows the weights are read once a row; beyond it a matmul reads them once a tile. */
export const MATVEC_MAX_ROWS = 4;

/** How x and y lie in memory, in elements. */
export interface LinearShape {
  /** Rows of x and y. */
  readonly rows: number;
  /** From row to row of x; default the weight's columns. */
  readonly ldX?: number;
  /** First element of x; default 0. */
  readonly xOffset?: number;
  /** From row to row of y; default the weight's rows. */
  readonly ldY?: number;
  /** Adds to y instead of overwriting it. */
  readonly residual?: boolean;
  readonly label: string;
}

/** x, weight and y of a linear op. */
export interface LinearTensors {
  readonly x: Tensor;
  readonly weight: Matrix;
  readonly bias?: Tensor | undefined;
  /** Scratch for a small y without bias and residual, whose long sums are then made in parts: (parts, rows, out). */
  readonly partials?: Tensor | undefined;
  readonly y: Tensor;
}

/** How a matmul is spread over workgroups. */
export interface MatmulFwdTiling {
  /** The side of the tiles of y. */
  readonly tile?: FwdTile | undefined;
  /** Parts of the sums; more than one only in tiles of 32, with `partials`. */
  readonly parts?: number | undefined;
}

/**
 * y (rows, out) = x weight^T + bias, for any number of rows.
 *
 * @param tiling Default: by the shape, and by whether bits may depend on the number of rows.
 */
export function matmulFwd(
  program: Program,
  tensors: LinearTensors,
  shape: LinearShape,
  { tile, parts = partsOf(program, tensors, shape) }: MatmulFwdTiling = {},
): void {
  const { x, weight, partials, y } = tensors;
  const { rows, label } = shape;
  const size = rows * weight.rows;
  if (parts === 1 || partials === undefined) addMatmul(program, tensors, shape, { tile });
  else {
    addMatmul(program, { x, weight, y: partials }, shape, { tile: 32, parts });
    sumPartials(program, { partials, y }, { parts, size, label });
  }
}

/** Columns of x and weight that a part of a sum has at least. */
const MIN_PART = 256;

/** Parts of the sums: by the weight alone, as no bit of a row may depend on how many rows there are. */
function partsOf(
  program: Program,
  { weight, bias, partials }: LinearTensors,
  { rows, ldY = weight.rows, residual = false }: LinearShape,
): number {
  const { rows: columns, columns: depth, blocks } = weight;
  const isPlain = bias === undefined && !residual && ldY === columns && blocks.length === 1;
  const isSmall = program.sameBits && fwdTile(program, { rows, columns, depth }) === 32;
  return partials !== undefined && isPlain && isSmall
    ? Math.max(1, Math.floor(depth / MIN_PART))
    : 1;
}

function addMatmul(
  program: Program,
  tensors: LinearTensors,
  shape: LinearShape,
  { tile, parts = 1 }: MatmulFwdTiling,
): void {
  const { x, weight, bias, y } = tensors;
  const { rows, ldX = weight.columns, xOffset = 0, ldY = weight.rows, residual = false, label } =
    shape;
  for (const block of weight.blocks) {
    const sizes = { rows, columns: block.rows, depth: weight.columns };
    const chosen = tile ?? fwdTile(program, sizes);
    const side = sideOf(chosen);
    const isAligned = areMultiplesOf4(block.rows, block.rowStart, ldY);
    const [vec4s, elements] = byVec4sOrElements(program.gpu, y, isAligned);
    const overrides = {
      D_IN: weight.columns,
      W_STRIDE: weight.stride,
      W_DTYPE: W_DTYPE[weight.dtype],
      ROW_START: block.rowStart,
      ROWS: block.rows,
      X_ALIGNED: areMultiplesOf4(weight.columns, ldX, xOffset),
      Y_ALIGNED: isAligned,
      BIAS: bias !== undefined,
      RESIDUAL: residual,
    };
    const use = {
      tensors: {
        x,
        weight: block.tensor,
        bias: bias ?? placeholders(program.gpu).read,
        y: vec4s,
        y_elements: elements,
      },
      params: { rows, ld_x: ldX, x_offset: xOffset, ld_y: ldY },
      workgroups: [Math.ceil(block.rows / side), Math.ceil(rows / side), parts],
      label,
    } as const;
    if (chosen === 32 || chosen === "64 split") {
      const own = { ...overrides, PARTS: parts, WIDE: side === 64 };
      program.add(matmulSplitFwdKernel, { ...use, overrides: own });
    } else {
      const own = { ...overrides, WIDE: side === 128 };
      program.add(matmulFwdKernel, { ...use, overrides: own });
    }
  }
}

/** y (rows, out) = x weight^T + bias, by whichever kernel suits the number of rows. */
export function linearFwd(program: Program, tensors: LinearTensors, shape: LinearShape): void {
  if (shape.rows <= MATVEC_MAX_ROWS) matvecFwd(program, tensors, shape);
  else matmulFwd(program, tensors, shape);
}
