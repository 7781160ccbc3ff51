import { assertEquals, assertThrows } from "@std/assert";
import {
  type CpuMatrix,
  cpuMatrixBytes,
  type CpuMatrixDType,
  createCpuMatrix,
  writeMatrixRows,
} from "../../src/cpu/machine/matrix.ts";
import { openCpu } from "../../src/cpu/machine/module.ts";
import { matvecFwd } from "../../src/cpu/ops/linear.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { roundedWeight } from "../../src/checks/ops/rounded_weight.ts";
import { Random } from "../../src/checks/random.ts";

const DTYPES: readonly CpuMatrixDType[] = ["f32", "f16", "bf16", "int8", "int4"];

function bytesOf({ cpu, address, sizeBytes }: CpuMatrix): Uint8Array {
  return new Uint8Array(cpu.memory.bytes(address, sizeBytes));
}

Deno.test("writeMatrixRows() packs the same whatever pieces rows come in, and pads with zeros", async () => {
  using cpu = await openCpu();
  const [rows, columns] = [11, 37];
  const groups = Math.ceil(columns / 32);
  for (const dtype of DTYPES) {
    const { stored } = roundedWeight(new Random(2).linear(rows, columns), dtype, columns);
    using whole = createCpuMatrix(cpu, "whole", [rows, columns], { dtype });
    writeMatrixRows(whole, 0, stored);
    using parts = createCpuMatrix(cpu, "parts", [rows, columns], { dtype });
    const codeBytes = groups * (dtype === "int8" ? 32 : 16);
    for (const [start, end] of [[7, 11], [0, 1], [6, 7], [1, 6]] as const) {
      if (ArrayBuffer.isView(stored)) {
        writeMatrixRows(parts, start, stored.subarray(start * columns, end * columns));
      } else {
        const { codes, scales } = stored;
        writeMatrixRows(parts, start, { scales: scales.subarray(start * groups, end * groups) });
        writeMatrixRows(parts, start, {
          codes: codes.subarray(start * codeBytes, end * codeBytes),
        });
      }
    }
    assertEquals(bytesOf(parts), bytesOf(whole), dtype);
  }
});

Deno.test("writeMatrixRows() passes more rows than its staging memory holds", async () => {
  using cpu = await openCpu();
  const [rows, columns] = [9, 40_000];
  using matrix = createCpuMatrix(cpu, "m", [rows, columns], { dtype: "f32" });
  const weight = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) weight[(row + 1) * columns - 1] = row + 1;
  writeMatrixRows(matrix, 0, weight);
  using x = createCpuTensor(cpu, "x", [columns]);
  x.write(new Float32Array(columns).fill(1));
  using y = createCpuTensor(cpu, "y", [rows]);
  using program = new CpuProgram(cpu);
  matvecFwd(program, { x, weight: matrix, y }, { rows: 1, label: "test" });
  program.run();
  assertEquals([...y.read()], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("writeMatrixRows() refuses another dtype, broken rows and rows past the end", async () => {
  using cpu = await openCpu();
  using matrix = createCpuMatrix(cpu, "m", [2, 3], { dtype: "f16" });
  assertThrows(() => writeMatrixRows(matrix, 0, new Float32Array(3)), TypeError, "f16");
  assertThrows(() => writeMatrixRows(matrix, 0, new Uint16Array(4)), TypeError, "rows of 3");
  assertThrows(
    () => writeMatrixRows(matrix, 1, new Uint16Array(6)),
    RangeError,
    "Cannot write rows 1 to 3 of a matrix of 2",
  );
  assertThrows(
    () => writeMatrixRows(matrix, 0, { codes: new Uint8Array(16) }),
    TypeError,
    "from quantized others",
  );
  using int4 = createCpuMatrix(cpu, "m", [2, 3], { dtype: "int4" });
  assertThrows(() => writeMatrixRows(int4, 0, new Float32Array(3)), TypeError, "int4");
  assertThrows(
    () => writeMatrixRows(int4, 0, { codes: new Uint8Array(17) }),
    TypeError,
    "Cannot write rows of 3 int4 elements from 17 codes and undefined scales",
  );
});

Deno.test("createCpuMatrix() takes the bytes that cpuMatrixBytes() says", async () => {
  using cpu = await openCpu();
  for (const dtype of DTYPES) {
    using matrix = createCpuMatrix(cpu, "m", [7, 13], { dtype });
    assertEquals(matrix.sizeBytes, cpuMatrixBytes([7, 13], dtype));
    // Panels of 4 rows, blocks of 8 columns or 32.
    const expected = { f32: 512, f16: 256, bf16: 256, int8: 288, int4: 160 };
    assertEquals(matrix.sizeBytes, expected[dtype]);
  }
});

Deno.test("matvecFwd() refuses tensors that are too small, by name", async () => {
  using cpu = await openCpu();
  using weight = createCpuMatrix(cpu, "w", [4, 8], { dtype: "f32" });
  using small = createCpuTensor(cpu, "small", [3]);
  using large = createCpuTensor(cpu, "large", [64]);
  using program = new CpuProgram(cpu);
  const label = "layers.0.mixer.in_proj";
  const [state, d_conv, d_inner] = [large, 2, 4];
  const refused: Readonly<Record<string, () => void>> = {
    "x has 3 elements, and the sizes given need 8": () =>
      matvecFwd(program, { x: small, weight, y: large }, { rows: 1, label }),
    "x has 64 elements, and the sizes given need 69": () =>
      matvecFwd(program, { x: large, weight, y: large }, { rows: 2, ldX: 60, xOffset: 1, label }),
    "y has 3 elements, and the sizes given need 4": () =>
      matvecFwd(program, { x: large, weight, y: small }, { rows: 1, label }),
    "bias has 3 elements, and the sizes given need 4": () =>
      matvecFwd(program, { x: large, weight, y: large, bias: small }, { rows: 1, label }),
    "norm_weight has 3 elements, and the sizes given need 8": () =>
      matvecFwd(program, { x: large, weight, y: large }, { rows: 1, label }, {
        norm: { weight: small, eps: 1 },
      }),
    "conv_weight has 3 elements, and the sizes given need 8": () =>
      matvecFwd(program, { x: large, weight, y: large }, { rows: 1, label }, {
        conv: { weight: small, state, d_conv, d_inner },
      }),
    "conv_state has 3 elements, and the sizes given need 8": () =>
      matvecFwd(program, { x: large, weight, y: large }, { rows: 1, label }, {
        conv: { weight: large, state: small, d_conv, d_inner },
      }),
  };
  for (const [message, record] of Object.entries(refused)) {
    assertThrows(record, RangeError, `Cannot record ${label}: ${message}`);
  }
  assertEquals(program.length, 0);
});
