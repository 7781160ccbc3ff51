/** matvec_fwd and matmul_fwd: y = x weight^T + bias, for few rows of x and for many. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import matmulSplitSource from "../../kernels/matmul_split_fwd.wgsl" with { type: "text" };
import matmulSource from "../../kernels/matmul_fwd.wgsl" with { type: "text" };
import matvecSource from "../../kernels/matvec_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { areMultiplesOf4, type FwdTile, fwdTile } from "./matmul_tile.ts";
import { blockWords, type Matrix, W_DTYPE } from "./matrix.ts";
import { byVec4sOrElements, placeholders } from "./placeholders.ts";
import { sumPartials } from "./sum_partials.ts";

/** The kernel for few rows. */
export const matvecFwdKernel = defineKernel({
  name: "matvec_fwd",
  source: matvecSource,
  preludes: ["_weight"],
  bindings: {
    x: "read",
    norm_weight: "read",
    weight: "read",
    bias: "read",
    conv_weight: "read",
    conv_bias: "read",
    conv_state: "read_write",
    y: "read_write",
  },
  params: { ld_x: "u32", x_offset: "u32", ld_y: "u32" },
  overrides: [
    "D_IN",
    "W_STRIDE",
    "W_DTYPE",
    "ROW_START",
    "ROWS",
    "LANES",
    "GROUPS",
    "ALIGNED",
    "NORM",
    "EPS",
    "BIAS",
    "RESIDUAL",
    "CONV",
    "CONV_BIAS",
    "D_CONV",
    "CONV_START",
    "D_INNER",
  ],
  sizes: (values, [, rows]) => {
    const { D_IN, ROW_START, ROWS, NORM, BIAS, CONV, CONV_BIAS, D_INNER, D_CONV } = values;
    const { W_STRIDE, W_DTYPE, ld_x, x_offset, ld_y } = values;
    return {
      x: x_offset + (rows - 1) * ld_x + D_IN,
      norm_weight: NORM * D_IN,
      weight: blockWords(ROWS, W_STRIDE, W_DTYPE),
      bias: BIAS * (ROW_START + ROWS),
      conv_weight: CONV * D_INNER * D_CONV,
      conv_bias: CONV_BIAS * D_INNER,
      conv_state: CONV * rows * D_INNER * D_CONV,
      y: (rows - 1) * ld_y + ROW_START + ROWS,
    };
  },
});

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
  overrides: [...MATMUL_OVERRIDES, "PARTS"],
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
  /** Scratch for a small y without bias and residual, whose sums are long: the more it holds, the more parts they have. */
  readonly partials?: Tensor | undefined;
  readonly y: Tensor;
}

/** What a matvec does before and after the product: see the kernel's NORM and CONV. */
export interface MatvecFusion {
  /** RMSNorm of x first. */
  readonly norm?: { readonly weight: Tensor; readonly eps: number };
  /** The step of conv1d and SiLU on d_inner columns of y, from `start` on (default 0). */
  readonly conv?: {
    readonly weight: Tensor;
    readonly bias?: Tensor | undefined;
    readonly state: Tensor;
    readonly d_conv: number;
    readonly d_inner: number;
    readonly start?: number;
  };
}

/** How a matvec is spread over lanes. */
export interface MatvecTiling {
  /** Lanes that share a row, a power of two from 4 on. */
  readonly lanes: number;
  /** Groups of four rows a workgroup. */
  readonly groups: number;
}

/** Rows that a group of lanes computes together: one vec4 of sums. */
const ROWS_PER_GROUP = 4;

/** Lanes in flight that keep an H100 busy; fewer leave it idle, more only add sums to combine. */
const BUSY_LANES = 131072;

/** A software adapter runs lanes one after the other, and a barrier costs it dearly: few lanes a row, as measured on llvmpipe. */
const SOFTWARE_TILING: MatvecTiling = { lanes: 4, groups: 8 };

/**
 * The tiling for a weight of this shape: as many lanes a row as keep the device busy with all rows.
 *
 * Measured on an H100 by `deno task bench matvec` and within whole steps by `deno task bench decode --kernels`.
 */
export function matvecTiling(rows: number, columns: number, isSoftware = false): MatvecTiling {
  const chunks = Math.ceil(columns / 8);
  const wanted = 2 ** Math.round(Math.log2(BUSY_LANES * ROWS_PER_GROUP / rows));
  const useful = 2 ** Math.ceil(Math.log2(chunks));
  // Very many rows need several groups a workgroup, as a dispatch has at most 65535 of these.
  const needed = 2 ** Math.ceil(Math.log2(Math.max(1, rows / (ROWS_PER_GROUP * 65535))));
  if (isSoftware) {
    return { ...SOFTWARE_TILING, groups: Math.max(SOFTWARE_TILING.groups, needed) };
  }
  const lanes = Math.max(4, Math.min(Math.max(32, wanted), 256 / needed, useful));
  return {
    lanes,
    groups: Math.min(256 / lanes, Math.max(needed, lanes <= 32 ? 32 / lanes : 256 / lanes)),
  };
}

/** y (rows, out) = x weight^T + bias, with what can be fused; for few rows. */
export function matvecFwd(
  program: Program,
  tensors: LinearTensors,
  shape: LinearShape,
  options: MatvecFusion & { tiling?: MatvecTiling } = {},
): void {
  const { x, weight, bias, y } = tensors;
  const { rows, ldX = weight.columns, xOffset = 0, ldY = weight.rows, residual = false, label } =
    shape;
  const { norm, conv } = options;
  const unused = placeholders(program.gpu);
  for (const block of weight.blocks) {
    const { lanes, groups } = options.tiling ??
      matvecTiling(block.rows, weight.columns, program.gpu.isSoftware);
    program.add(matvecFwdKernel, {
      tensors: {
        x,
        norm_weight: norm?.weight ?? unused.read,
        weight: block.tensor,
        bias: bias ?? unused.read,
        conv_weight: conv?.weight ?? unused.read,
        conv_bias: conv?.bias ?? unused.read,
        conv_state: conv?.state ?? unused.write,
        y,
      },
      overrides: {
        D_IN: weight.columns,
        W_STRIDE: weight.stride,
        W_DTYPE: W_DTYPE[weight.dtype],
        ROW_START: block.rowStart,
        ROWS: block.rows,
        LANES: lanes,
        GROUPS: groups,
        ALIGNED: weight.columns % 8 === 0 && ldX % 4 === 0 && xOffset % 4 === 0,
        NORM: norm !== undefined,
        EPS: norm?.eps ?? 0,
        BIAS: bias !== undefined,
        RESIDUAL: residual,
        CONV: conv !== undefined,
        CONV_BIAS: conv?.bias !== undefined,
        D_CONV: conv?.d_conv ?? 1,
        CONV_START: conv?.start ?? 0,
        D_INNER: conv?.d_inner ?? 0,
      },
      params: { ld_x: ldX, x_offset: xOffset, ld_y: ldY },
      workgroups: [Math.ceil(block.rows / (ROWS_PER_GROUP * groups)), rows, 1],
      label,
    });
  }
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
    const side = tile ?? fwdTile(program, sizes);
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
    if (side === 32) {
      program.add(matmulSplitFwdKernel, { ...use, overrides: { ...overrides, PARTS: parts } });
    } else {program.add(matmulFwdKernel, {
        ...use,
        overrides: { ...overrides, WIDE: side === 128 },
      });}
  }
}

/** y (rows, out) = x weight^T + bias, by whichever kernel suits the number of rows. */
export function linearFwd(program: Program, tensors: LinearTensors, shape: LinearShape): void {
  if (shape.rows <= MATVEC_MAX_ROWS) matvecFwd(program, tensors, shape);
  else matmulFwd(program, tensors, shape);
}
