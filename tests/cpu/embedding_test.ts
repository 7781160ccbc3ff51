import { assertEquals } from "@std/assert";
import { createCpuMatrix, writeMatrixRows } from "../../src/cpu/matrix.ts";
import { openCpu } from "../../src/cpu/module.ts";
import { embeddingFwd } from "../../src/cpu/ops/embedding.ts";
import { CpuProgram } from "../../src/cpu/program.ts";
import { createCpuTensor } from "../../src/cpu/tensor.ts";
import { Random } from "../../src/checks/random.ts";
import { dequantize } from "../../src/checks/reference/dequantize.ts";
import { quantizeRows } from "../../src/model/quantize.ts";

const ROWS = 71, BATCH = 2, SEQLEN = 3;
const IDS = [70, 0, 33, 5, 33, 34];

/** Rows as a matrix of the type takes them, and the floats that they are. */
function rounded(
  values: Float32Array<ArrayBuffer>,
  columns: number,
  dtype: "f32" | "f16" | "bf16" | "int8" | "int4",
): { elements: Parameters<typeof writeMatrixRows>[2]; floats: ArrayLike<number> } {
  switch (dtype) {
    case "f32":
      return { elements: values, floats: values };
    case "f16": {
      const halves = new Float16Array(values);
      return { elements: new Uint16Array(halves.buffer), floats: Float32Array.from(halves) };
    }
    case "bf16": {
      const bits = Uint16Array.from(new Uint32Array(values.buffer), (word) => word >>> 16);
      const floats = new Float32Array(Uint32Array.from(bits, (upper) => upper << 16).buffer);
      return { elements: bits, floats };
    }
    default: {
      const { codes, scales } = quantizeRows(values, columns, dtype);
      const bits = dtype === "int8" ? 8 : 4;
      const halves = new Float16Array(scales.buffer);
      return {
        elements: { codes, scales },
        floats: Float32Array.from(dequantize(codes, halves, { rows: ROWS, columns, bits })),
      };
    }
  }
}

for (const dtype of ["f32", "f16", "bf16", "int8", "int4"] as const) {
  for (const columns of [1, 8, 37, 64]) {
    Deno.test(`embeddingFwd() gathers rows of ${columns} ${dtype} elements, and notes the ids`, async () => {
      const { elements, floats } = rounded(new Random(1).normal(ROWS * columns), columns, dtype);
      const expected = IDS.flatMap((id) => {
        return Array.from({ length: columns }, (_, column) => floats[id * columns + column]);
      });
      const seenBits = new Uint32Array(BATCH * 3);
      for (const [index, id] of IDS.entries()) {
        const word = 3 * Math.floor(index / SEQLEN) + (id >> 5);
        seenBits[word] = (seenBits[word] ?? 0) | (1 << (id & 31));
      }
      for (const build of ["relaxed_threads", "relaxed", "plain"] as const) {
        using cpu = await openCpu({ build });
        using ids = createCpuTensor(cpu, "ids", [BATCH, SEQLEN]);
        ids.write(new Uint32Array(IDS));
        using weight = createCpuMatrix(cpu, "weight", [ROWS, columns], { dtype });
        writeMatrixRows(weight, 0, elements);
        using y = createCpuTensor(cpu, "y", [BATCH, SEQLEN, columns]);
        using seen = createCpuTensor(cpu, "seen", [BATCH, 3]);
        using program = new CpuProgram(cpu);
        const shape = { batch: BATCH, seqlen: SEQLEN, label: "test" };
        embeddingFwd(program, { ids, weight, y, seen }, shape);
        program.run();
        assertEquals([...y.read()], expected);
        assertEquals(seen.readWords(), seenBits);
      }
    });
  }
}
