/** row_copy: a sequence's state, from a buffer of its own into a row of a batch's, or back. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/row_copy.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { foldWorkgroups } from "./fold_workgroups.ts";

/** The kernel. */
export const rowCopyKernel = defineKernel({
  name: "row_copy",
  source,
  bindings: { table: "read", own: "read_write", rows: "read_write" },
  params: { row: "u32", units: "u32" },
  overrides: ["TO_OWN"],
  // What the rows need is in the table.
  sizes: ({ row, units }) => ({ table: 4 * units, own: UNIT * units, rows: row + 1 }),
});

/** Words of a unit: parts of a state begin at multiples of it. */
const UNIT = 64;

/** Units of a workgroup. */
const UNITS = 4;

/** Where a part of a state is, in words: in a buffer of one sequence, and in one of a batch. */
export interface RowPart {
  /** Words of it that one sequence has. */
  readonly size: number;
  /** First word in the buffer of one sequence, a multiple of 64. */
  readonly own: number;
  /** First word of the batch's first row; the next one's follow it. */
  readonly rows: number;
}

/** What rowCopy() looks up: for each unit of the buffer of one sequence (units, 4). */
export function rowTable(parts: readonly RowPart[]): Uint32Array<ArrayBuffer> {
  const units = Math.max(...parts.map(({ own, size }) => Math.ceil((own + size) / UNIT)));
  const table = new Uint32Array(4 * units);
  for (const { own, size, rows } of parts) {
    for (let start = 0; start < size; start += UNIT) {
      table.set([rows + start, size, Math.min(UNIT, size - start)], 4 * (own + start) / UNIT);
    }
  }
  return table;
}

/** Copies a sequence's whole state into a row of a batch's, or, with `toOwn`, out of it. */
export function rowCopy(
  program: Program,
  tensors: { readonly table: Tensor; readonly own: Tensor; readonly rows: Tensor },
  { row, units, toOwn, label }: {
    readonly row: number;
    /** Of the table. */
    readonly units: number;
    readonly toOwn: boolean;
    readonly label: string;
  },
): void {
  program.add(rowCopyKernel, {
    tensors,
    overrides: { TO_OWN: toOwn },
    params: { row, units },
    workgroups: foldWorkgroups(Math.ceil(units / UNITS)),
    label,
  });
}
