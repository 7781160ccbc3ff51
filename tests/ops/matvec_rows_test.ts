/** A row's bits do not depend on how many rows there are, where it is among them, or in which blocks they are computed. */

import { assertEquals } from "@std/assert";
import { Random } from "../../src/checks/random.ts";
import { roundedWeight } from "../../src/checks/ops/rounded_weight.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { Program, submit } from "../../src/gpu/program.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import type { MatrixDType } from "../../src/model/weights/dtype.ts";
import { matvecFwd } from "../../src/ops/matvec.ts";
import type { MatvecWay } from "../../src/ops/matvec_tiling.ts";
import { createMatrix, writeMatrixRows } from "../../src/ops/matrix.ts";
import { withGpu } from "../with_gpu.ts";

const [COLUMNS, OUT, D_INNER, D_CONV, ROWS] = [520, 37, 20, 4, 19];

/** Rows together, and how. */
const WAYS: readonly (readonly [start: number, end: number, way: MatvecWay])[] = [
  [0, ROWS, { each: 4 }],
  [1, ROWS, { each: 8 }],
];

/** What a matvec over rows [start, end) of the same inputs gives: y, and the windows of conv1d. */
async function run(
  gpu: Gpu,
  { dtype, fused, each, way = "alone" }: {
    readonly dtype: MatrixDType;
    readonly fused: boolean;
    readonly each: number;
    readonly way?: MatvecWay;
  },
  [start, end]: readonly [number, number],
): Promise<Float32Array[]> {
  using resources = new DisposableStack();
  const random = new Random(4);
  const make = (name: string, data: Float32Array) => {
    const tensor = resources.use(createTensor(gpu, name, [data.length]));
    tensor.write(data);
    return tensor;
  };
  const part = (data: Float32Array, width: number) => data.subarray(start * width, end * width);
  const weight = resources.use(createMatrix(gpu, "weight", [OUT, COLUMNS], { dtype }));
  const { stored } = roundedWeight(random.linear(OUT, COLUMNS), dtype, COLUMNS);
  writeMatrixRows(weight, 0, stored);
  const x = make("x", part(random.normal(ROWS * COLUMNS), COLUMNS));
  const y = make("y", part(random.normal(ROWS * OUT), OUT));
  const bias = make("bias", random.normal(OUT));
  const norm = { weight: make("norm", random.normWeight(COLUMNS)), eps: 1e-5 };
  const state = make("state", part(random.normal(ROWS * D_INNER * D_CONV), D_INNER * D_CONV));
  const conv = {
    ...{ weight: make("conv", random.normal(D_INNER * D_CONV)), bias: undefined, state },
    ...{ d_conv: D_CONV, d_inner: D_INNER, start: 3 },
  };
  using program = new Program(gpu);
  matvecFwd(
    program,
    { x, weight, y, bias },
    { rows: end - start, residual: !fused, label: "test" },
    {
      ...(fused ? { norm, conv } : {}),
      tiling: { each, groups: 1, atOnce: dtype === "int4" ? 2 : 3 },
      way,
    },
  );
  submit(gpu, [program]);
  return [await readFloats(gpu, y), await readFloats(gpu, state)];
}

Deno.test(
  "matvecFwd() gives a row the same bits alone and among others",
  withGpu(async (gpu) => {
    for (const dtype of ["f32", "f16", "bf16", "int8", "int4"] as const) {
      for (const [fused, each] of [[true, 2], [false, 4]] as const) {
        const alone: Float32Array[][] = [];
        for (let row = 0; row < ROWS; row++) {
          alone.push(await run(gpu, { dtype, fused, each }, [row, row + 1]));
        }
        const eights = [[0, ROWS, { groups: fused ? 4 : 8 }]] as const;
        for (const [start, end, way] of [...WAYS, ...eights]) {
          const together = await run(gpu, { dtype, fused, each, way }, [start, end]);
          for (const [index, results] of together.entries()) {
            const expected = alone.slice(start, end).flatMap((each) => [...each[index] ?? []]);
            assertEquals([...results], expected, `${dtype}, fused ${fused}, from ${start}`);
          }
        }
      }
    }
  }),
);
