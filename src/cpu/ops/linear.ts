/** matvec_fwd and matmul_fwd: y = x weight^T + bias, for few rows of x and for many. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { WeightDType } from "../../../kernels/cpu/weight_dtype.ts";
import { roundUp } from "../../model/shapes.ts";
import {
  type CpuMatrix,
  cpuPanelBytes,
  isQuantized,
  isRowMatrix,
  PANEL_ROWS,
  requirePanels,
} from "../machine/matrix.ts";
import { type CpuProgram, floatBits } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { addProduct } from "./product.ts";
import { requireSize } from "./require_size.ts";

/** Up to this many rows each panel of weights is multiplied with one row after the other. */
export const MATVEC_MAX_ROWS = 8;

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
  readonly x: CpuTensor;
  readonly weight: CpuMatrix;
  readonly bias?: CpuTensor | undefined;
  readonly y: CpuTensor;
}

/** What a matvec does before and after the product: see kernels/cpu/assembly/matvec_fwd.ts. */
export interface MatvecFusion {
  /** RMSNorm of x first. */
  readonly norm?: { readonly weight: CpuTensor; readonly eps: number };
  /** The step of conv1d and SiLU on d_inner columns of y, from `start` on (default 0). */
  readonly conv?: {
    readonly weight: CpuTensor;
    readonly bias?: CpuTensor | undefined;
    readonly state: CpuTensor;
    readonly d_conv: number;
    readonly d_inner: number;
    readonly start?: number;
  };
}

/** Bytes of weights that a thread takes at once, at most: about ten microseconds' reading. */
const MAX_CHUNK_BYTES = 65536;

/** And at least: below two of these it is not worth waking anybody. */
const MIN_CHUNK_BYTES = 16384;

/** Chunks of a small weight, so that threads that begin late still find some. */
const MIN_CHUNKS = 8;

/** Panels of a weight that a thread takes at once. */
function matvecGrain({ columns, dtype, sizeBytes }: CpuMatrix): number {
  const even = Math.max(MIN_CHUNK_BYTES, sizeBytes / MIN_CHUNKS);
  return Math.ceil(Math.min(MAX_CHUNK_BYTES, even) / cpuPanelBytes(columns, dtype));
}

/** y (rows, out) = x weight^T + bias, with what can be fused; for few rows. */
export function matvecFwd(
  program: CpuProgram,
  tensors: LinearTensors,
  shape: LinearShape,
  { norm, conv }: MatvecFusion = {},
): void {
  const { x, weight, bias, y } = tensors;
  const { columns, dtype } = weight;
  const { rows, ldX = columns, xOffset = 0, ldY = weight.rows, residual = false, label } = shape;
  requirePanels(label, weight);
  requireLinearSizes(tensors, { rows, ldX, xOffset, ldY, label });
  if (norm !== undefined) requireSize(label, "norm_weight", norm.weight, columns);
  const { d_conv = 0, d_inner = 0, start = 0 } = conv ?? {};
  if (conv !== undefined) {
    requireSize(label, "conv_weight", conv.weight, d_inner * d_conv);
    if (conv.bias !== undefined) requireSize(label, "conv_bias", conv.bias, d_inner);
    requireSize(label, "conv_state", conv.state, rows * d_inner * d_conv);
  }
  const quantized = isQuantized(dtype);
  // What matvec_prepare.ts makes of a row of x.
  const preparedBytes = 16 + (quantized ? 5 * roundUp(columns, 32) : 4 * roundUp(columns, 8));
  program.add({
    kind: OpKind.matvec_fwd,
    items: Math.ceil(weight.rows / PANEL_ROWS),
    grain: matvecGrain(weight),
    args: [
      x.address + xOffset * 4,
      weight.address,
      y.address,
      bias?.address ?? 0,
      WeightDType[dtype],
      columns,
      weight.rows,
      rows,
      ldX,
      ldY,
      Number(residual),
      norm?.weight.address ?? 0,
      floatBits(norm?.eps ?? 0),
      conv?.weight.address ?? 0,
      conv?.bias?.address ?? 0,
      conv?.state.address ?? 0,
      d_conv,
      start,
      d_inner,
    ],
    scratchBytes: rows * preparedBytes + (quantized ? 4 * roundUp(columns, 32) : 0),
    label,
  });
}

/** Rows of x that a panel is unpacked for, at most: 768 columns of them fit in a second cache of 512 KiB. */
const MAX_BLOCK_ROWS = 96;

/** And at least, or unpacking takes too much of the time. Both are multiples of the rows of a tile. */
const MIN_BLOCK_ROWS = 24;

/** Multiply-adds that a thread takes at once: some twenty microseconds. */
const CHUNK_MULTIPLY_ADDS = 2 ** 19;

/** y (rows, out) = x weight^T + bias, for any number of rows, and for weights that are trained. */
export function matmulFwd(program: CpuProgram, tensors: LinearTensors, shape: LinearShape): void {
  const { x, weight, bias, y } = tensors;
  const { columns, dtype } = weight;
  const { rows, ldX = columns, xOffset = 0, ldY = weight.rows, residual = false, label } = shape;
  requireLinearSizes(tensors, { rows, ldX, xOffset, ldY, label });
  if (isRowMatrix(weight)) {
    addProduct(program, {
      a: { address: x.address + xOffset * 4, ld: ldX, turned: true },
      b: { address: weight.address, ld: weight.stride, turned: true },
      c: { address: y.address, ld: ldY },
      bias: bias?.address,
      adds: residual,
    }, { rows, columns: weight.rows, depth: columns, label });
    return;
  }
  const panelMultiplyAdds = PANEL_ROWS * columns;
  const evenRows = roundUp(CHUNK_MULTIPLY_ADDS / panelMultiplyAdds, MIN_BLOCK_ROWS);
  const blockRows = Math.min(rows, MAX_BLOCK_ROWS, evenRows);
  const unpackedBytes = dtype === "f32"
    ? 0
    : PANEL_ROWS * 4 * roundUp(columns, isQuantized(dtype) ? 32 : 8);
  const paddedBytes = columns % 8 === 0 ? 0 : blockRows * 4 * roundUp(columns, 8);
  program.add({
    kind: OpKind.matmul_fwd,
    items: Math.ceil(weight.rows / PANEL_ROWS) * Math.ceil(rows / blockRows),
    grain: Math.floor(CHUNK_MULTIPLY_ADDS / (panelMultiplyAdds * blockRows)),
    args: [
      x.address + xOffset * 4,
      weight.address,
      y.address,
      bias?.address ?? 0,
      WeightDType[dtype],
      columns,
      weight.rows,
      rows,
      ldX,
      ldY,
      Number(residual),
      blockRows,
    ],
    scratchBytes: unpackedBytes + paddedBytes,
    label,
  });
}

/** y (rows, out) = x weight^T + bias, by whichever op suits the number of rows. */
export function linearFwd(program: CpuProgram, tensors: LinearTensors, shape: LinearShape): void {
  const isShort = shape.rows <= MATVEC_MAX_ROWS && !isRowMatrix(tensors.weight);
  if (isShort) matvecFwd(program, tensors, shape);
  else matmulFwd(program, tensors, shape);
}

function requireLinearSizes(
  { x, weight, bias, y }: LinearTensors,
  { rows, ldX, xOffset, ldY, label }: Required<Omit<LinearShape, "residual">>,
): void {
  requireSize(label, "x", x, xOffset + (rows - 1) * ldX + weight.columns);
  requireSize(label, "y", y, (rows - 1) * ldY + weight.rows);
  if (bias !== undefined) requireSize(label, "bias", bias, weight.rows);
}
