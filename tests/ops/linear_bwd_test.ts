import { assertEquals, assertThrows } from "@std/assert";
import { Program } from "../../src/gpu/program.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import {
  columnSum,
  matmulBwdW,
  matmulBwdWScratch,
  matmulBwdWTiling,
  matmulBwdX,
} from "../../src/ops/training/linear_bwd.ts";
import { cheaperTile, matmulTile } from "../../src/ops/matmul_tile.ts";
import { createMatrix } from "../../src/ops/matrix.ts";
import { withGpu } from "../with_gpu.ts";
import { LINEAR_BWD_CHECKS } from "../../src/checks/ops/linear_bwd_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(LINEAR_BWD_CHECKS);

Deno.test(
  "matmulBwdX() and matmulBwdW() refuse matrices of 16 bits and of several blocks",
  withGpu((gpu) => {
    using program = new Program(gpu);
    using x = createTensor(gpu, "x", [64]);
    using y = createTensor(gpu, "y", [64]);
    using halves = createMatrix(gpu, "halves", [3, 5], { dtype: "f16" });
    using split = createMatrix(gpu, "split", [3, 5], { dtype: "f32", maxBindingBytes: 64 });
    for (const matrix of [halves, split]) {
      assertThrows(
        () =>
          matmulBwdX(program, { grad_y: y, weight: matrix, grad_x: x }, { rows: 2, label: "a" }),
        TypeError,
        `Cannot record a: the matrix is ${matrix.dtype} in`,
      );
      assertThrows(
        () => matmulBwdW(program, { grad_y: y, x, grad_weight: matrix }, { rows: 2, label: "a" }),
        TypeError,
        `Cannot record a: the matrix is ${matrix.dtype} in`,
      );
    }
  }),
);

Deno.test(
  "matmulBwdW() and columnSum() refuse scratch that is too small",
  withGpu((gpu) => {
    using program = new Program(gpu);
    using x = createTensor(gpu, "x", [1000 * 4]);
    using y = createTensor(gpu, "y", [1000 * 4]);
    using grad_bias = createTensor(gpu, "grad_bias", [4]);
    using grad_weight = createMatrix(gpu, "grad_weight", [4, 4], { dtype: "f32" });
    const needed = matmulBwdWScratch(gpu, grad_weight, 1000);
    assertEquals(needed, 4 * 4 * 8, "4 parts of 250 rows");
    using partials = createTensor(gpu, "partials", [12]);
    const shape = { rows: 1000, label: "a" };
    assertThrows(
      () => matmulBwdW(program, { grad_y: y, x, grad_weight }, shape),
      RangeError,
      `Cannot record a: its partials have 0 elements, and ${needed} are needed`,
    );
    assertThrows(
      () => columnSum(program, { x, partials, y: grad_bias }, { ...shape, columns: 4 }),
      RangeError,
      "Cannot record a: its partials have 12 elements, and 16 are needed",
    );
  }),
);

Deno.test(
  "matmulBwdWTiling() splits many rows of a small weight, and no few rows or large weight",
  withGpu((gpu) => {
    const parts = (rows: number, columns: number, count: number) =>
      matmulBwdWTiling(gpu, { rows, columns }, count).parts;
    assertEquals(parts(64, 64, 65536) > 100, true);
    assertEquals(parts(64, 64, 256), 1);
    assertEquals(parts(4096, 4096, 65536), 1);
    assertEquals(matmulBwdWScratch(gpu, { rows: 8, columns: 8, stride: 8 }, 256), 0);
  }),
);

Deno.test(
  "matmulTile() takes the large tile where it is filled, busy, and worth compiling",
  withGpu((gpu) => {
    const sizes = (rows: number, columns: number, depth: number) => ({ rows, columns, depth });
    const hardware = { ...gpu, isSoftware: false } as typeof gpu;
    assertEquals(matmulTile(hardware, sizes(16384, 1024, 256)), 128);
    assertEquals(matmulTile(hardware, sizes(512, 768, 768)), 64, "24 tiles leave a device idle");
    assertEquals(matmulTile(hardware, sizes(65536, 48, 512)), 64, "most of each would be empty");
    assertEquals(cheaperTile(hardware, sizes(128, 128, 64)), 128);
    const software = { ...gpu, isSoftware: true } as typeof gpu;
    assertEquals(matmulTile(software, sizes(512, 768, 768)), 128);
    assertEquals(matmulTile(software, sizes(17, 1536, 768)), 64, "compiling takes longer");
  }),
);
