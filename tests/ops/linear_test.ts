import { assertEquals, assertThrows } from "@std/assert";
import { createMatrix, writeMatrixRows } from "../../src/ops/matrix.ts";
import { matrixBytes } from "../../src/model/weights/dtype.ts";
import { linearFwd, matmulFwd, MATVEC_MAX_ROWS } from "../../src/ops/linear.ts";
import { matvecTiling, matvecWay } from "../../src/ops/matvec_tiling.ts";
import { quantizeRows } from "../../src/model/weights/quantize.ts";
import { Program, submit } from "../../src/gpu/program.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { fwdTile } from "../../src/ops/matmul_tile.ts";
import { Random } from "../../src/checks/random.ts";
import { withGpu } from "../with_gpu.ts";
import { LINEAR_CHECKS } from "../../src/checks/ops/linear_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(LINEAR_CHECKS);

Deno.test("matvecTiling() gives what a workgroup and a dispatch hold, for any weight", () => {
  const columns = { f32: 4, f16: 8, bf16: 8, int8: 16, int4: 32 };
  for (const rows of [1, 80, 3072, 300_000, 1_048_560, 2_097_120]) {
    for (const stride of [32, 768, 1536, 5120, 2 ** 16]) {
      for (const dtype of ["f32", "f16", "bf16", "int8", "int4"] as const) {
        for (const isSoftware of [false, true]) {
          const { each, groups, atOnce } = matvecTiling({ rows, stride, dtype }, isSoftware);
          const name = `${rows} x ${stride}, ${dtype}: ${each}, ${groups}, ${atOnce}`;
          assertEquals([2, 4].includes(each) && [1, 2, 3, 4, 5, 6].includes(atOnce), true, name);
          assertEquals(32 * groups <= 256 && rows / (each * groups) <= 65535, true, name);
          // An input and its squares, chains one apart, and squares: in the memory that every device has.
          const input = atOnce * 32 * columns[dtype];
          const words = input + input / 4 + groups * each * 33 + 32;
          assertEquals(4 * words <= 16384, true, name);
        }
      }
    }
  }
});

Deno.test("matvecWay() reads weights once where that pays, and every way fits a dispatch", () => {
  const way = (weightRows: number, columns: number, rows: number) =>
    matvecWay({ rows: weightRows, columns, sizeBytes: 2 * weightRows * columns }, rows);
  assertEquals([way(3072, 768, 1), way(50280, 2560, 3), way(80, 1536, 64)], Array(3).fill("alone"));
  assertEquals([way(3072, 768, 8), way(768, 1536, 64)], Array(2).fill({ groups: 4 }));
  assertEquals(way(2560, 5120, 64), { groups: 8 });
  assertEquals([way(50280, 768, 64), way(10240, 2560, 64)], Array(2).fill({ each: 8 }));
  assertEquals([way(50280, 768, 16), way(3072, 768, 64)], Array(2).fill({ each: 4 }));
  assertEquals(way(50280, 768, 8), { groups: 4 });
  assertEquals(way(1_048_561, 32, 8), { groups: 8 });
});

Deno.test(
  "linearFwd() takes the matvec for few rows and the matmul for many",
  withGpu((gpu) => {
    using weight = createMatrix(gpu, "weight", [3, 5], { dtype: "f32" });
    using x = createTensor(gpu, "x", [64]);
    using y = createTensor(gpu, "y", [64]);
    const names = [1, MATVEC_MAX_ROWS, MATVEC_MAX_ROWS + 1].map((rows) => {
      using program = new Program(gpu);
      let name = "";
      const { add } = program;
      program.add = (kernel, use) => {
        name = kernel.name;
        add.call(program, kernel, use);
      };
      linearFwd(program, { x, weight, y }, { rows, label: "test" });
      return name;
    });
    assertEquals(names, ["matvec_fwd", "matvec_fwd", "matmul_fwd"]);
  }),
);

Deno.test(
  "matmulFwd() has the same bits in tiles of 64 and of 128, and of a row alone",
  withGpu(async (gpu) => {
    const [rows, out] = [130, 140];
    const random = new Random(1);
    const shape = { rows, label: "test" };
    for (const [dtype, d_in] of [["f32", 300], ["f16", 768]] as const) {
      using weight = createMatrix(gpu, "weight", [out, d_in], { dtype });
      const values = random.normal(out * d_in);
      writeMatrixRows(
        weight,
        0,
        dtype === "f32" ? values : Uint16Array.from(values, (_, i) => 0x3000 + i % 4099),
      );
      using x = createTensor(gpu, "x", [rows * d_in]);
      x.write(random.normal(rows * d_in));
      using y = createTensor(gpu, "y", [rows * out]);
      const run = async (count: number, tile: 64 | 128) => {
        using program = new Program(gpu);
        matmulFwd(program, { x, weight, y }, { ...shape, rows: count }, { tile });
        submit(gpu, [program]);
        return new Uint32Array((await readFloats(gpu, y)).slice(0, count * out).buffer);
      };
      const expected = await run(rows, 64);
      assertEquals(await run(rows, 128), expected);
      assertEquals(await run(5, 128), expected.slice(0, 5 * out));
    }
  }),
);

Deno.test(
  "fwdTile() has the weight alone settle the order of sums that are to have the same bits",
  withGpu((gpu) => {
    const hardware = { gpu: { ...gpu, isSoftware: false } as typeof gpu, sameBits: true };
    const tiles = (columns: number) =>
      [5, 64, 512, 4096].map((rows) => fwdTile(hardware, { rows, columns, depth: 768 }));
    assertEquals(tiles(80), [32, 32, 32, 32]);
    assertEquals(tiles(768), ["64 split", "64 split", "64 split", "64 split"]);
    assertEquals(tiles(3072), [64, 64, 128, 128], "both of them add up in order");
  }),
);

Deno.test(
  "writeMatrixRows() pads rows with zeros and finds the block of each row",
  withGpu(async (gpu) => {
    // 16 columns a stored row of 9, so 64 bytes: two rows a block.
    using matrix = createMatrix(gpu, "m", [5, 9], { dtype: "f32", maxBindingBytes: 128 });
    assertEquals(matrix.stride, 16);
    assertEquals(matrix.blocks.map(({ rowStart, rows }) => [rowStart, rows]), [[0, 2], [2, 2], [
      4,
      1,
    ]]);
    const value = (row: number, column: number) => row * 10 + column + 1;
    const rows = (first: number, count: number) =>
      Float32Array.from({ length: count * 9 }, (_, i) => value(first + Math.floor(i / 9), i % 9));
    writeMatrixRows(matrix, 1, rows(1, 3));
    writeMatrixRows(matrix, 0, rows(0, 1));
    writeMatrixRows(matrix, 4, rows(4, 1));
    const stored: number[] = [];
    for (const { tensor } of matrix.blocks) stored.push(...await readFloats(gpu, tensor));
    const expected = Array.from(
      { length: 5 * 16 },
      (_, i) => i % 16 < 9 ? value(Math.floor(i / 16), i % 16) : 0,
    );
    assertEquals(stored, expected);
  }),
);

Deno.test(
  "writeMatrixRows() refuses another dtype and broken rows",
  withGpu((gpu) => {
    using matrix = createMatrix(gpu, "m", [2, 3], { dtype: "f16" });
    assertThrows(() => writeMatrixRows(matrix, 0, new Float32Array(3)), TypeError, "f16");
    assertThrows(() => writeMatrixRows(matrix, 0, new Uint16Array(4)), TypeError, "rows of 3");
    const quantized = quantizeRows(new Float32Array(3), 3, "int4");
    assertThrows(() => writeMatrixRows(matrix, 0, quantized), TypeError, "from quantized others");
    using int4 = createMatrix(gpu, "m", [2, 3], { dtype: "int4" });
    assertThrows(() => writeMatrixRows(int4, 0, new Float32Array(3)), TypeError, "int4");
  }),
);

Deno.test(
  "createMatrix() counts its bytes as matrixBytes() does, and refuses rows past a binding",
  withGpu((gpu) => {
    const before = gpu.live.sizeBytes;
    for (const dtype of ["f32", "f16", "bf16", "int8", "int4"] as const) {
      using _matrix = createMatrix(gpu, "m", [7, 13], { dtype });
      assertEquals(gpu.live.sizeBytes - before, matrixBytes([7, 13], dtype));
    }
    assertThrows(
      () => createMatrix(gpu, "lm_head", [2, 100], { dtype: "f32", maxBindingBytes: 128 }),
      RangeError,
      "Cannot load lm_head [2, 100]: one row takes 416 bytes, and this device binds 128",
    );
  }),
);
