import { checkKernel, EXACT, type KernelCheck } from "../kernel_check.ts";
import { Random } from "../random.ts";

const CASES: readonly {
  /** Words that a sequence has of each part. */
  readonly sizes: readonly number[];
  readonly batch: number;
  readonly row: number;
}[] = [
  { sizes: [1], batch: 1, row: 0 },
  { sizes: [1, 64, 65, 7], batch: 3, row: 2 },
  { sizes: [2, 1571, 50280, 1536 * 4, 1536 * 16], batch: 8, row: 5 },
];

/** Parts begin at multiples of this many words. */
const UNIT = 64;

const padded = (size: number) => Math.ceil(size / UNIT) * UNIT;

/** Checks of row_copy. */
export const ROW_COPY_CHECKS: readonly KernelCheck[] = CASES.flatMap((
  { sizes, batch, row },
  seed,
) =>
  [false, true].map((toOwn): KernelCheck => ({
    kernel: "row_copy",
    name: `parts of ${sizes.join(", ")}, row ${row} of ${batch}, ${toOwn ? "out" : "in"}`,
    ...checkKernel(["rowCopy", "rowTable"], (run) => {
      const random = new Random(seed);
      let [ownSize, rowsSize] = [0, 0];
      const parts = sizes.map((size) => {
        const part = { size, own: ownSize, rows: rowsSize };
        ownSize += padded(size);
        rowsSize += padded(size * batch);
        return part;
      });
      const own = random.normal(ownSize);
      const rows = random.normal(rowsSize);
      const expected = { own: own.slice(), rows: rows.slice() };
      for (const part of parts) {
        const there = part.rows + row * part.size;
        if (toOwn) expected.own.set(rows.subarray(there, there + part.size), part.own);
        else expected.rows.set(own.subarray(part.own, part.own + part.size), there);
      }
      const table = run.ops.rowTable(parts);
      const tensors = { table: run.input(table), own: run.state(own), rows: run.state(rows) };
      const units = table.length / 4;
      run.ops.rowCopy(run.program, tensors, { row, units, toOwn, label: "check" });
      run.expect("own", tensors.own, expected.own, EXACT);
      run.expect("rows", tensors.rows, expected.rows, EXACT);
    }),
  }))
);
