/** A sequence's step has the same bits however many others make theirs. */

import { assertEquals } from "@std/assert";
import { roundedWeight } from "../../src/checks/ops/rounded_weight.ts";
import { scanData } from "../../src/checks/ops/selective_scan_checks.ts";
import { Program, submit } from "../../src/gpu/program.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { createMatrix, writeMatrixRows } from "../../src/ops/matrix.ts";
import { selectiveScanStep } from "../../src/ops/selective_scan_step.ts";
import { withGpu } from "../with_gpu.ts";

Deno.test(
  "selectiveScanStep() gives a row the same bits alone and among others",
  withGpu(async (gpu) => {
    const ROWS = 9;
    for (const [dt_rank, d_state] of [[4, 16], [48, 20], [272, 16]] as const) {
      for (const dtype of ["f32", "f16"] as const) {
        const shape = { d_inner: 67, d_state, dt_rank };
        const data = scanData({ shape, batch: ROWS, seqlen: 1, initialState: true }, 7);
        const { random } = data;
        const weight = roundedWeight(random.linear(67, dt_rank), dtype, dt_rank);
        const dt_bias = random.dtBias(67);
        const run = async (start: number, end: number) => {
          using resources = new DisposableStack();
          const make = (values: Float32Array) => {
            const tensor = resources.use(createTensor(gpu, "test", [values.length]));
            tensor.write(values);
            return tensor;
          };
          const part = (values: Float32Array) => {
            const width = values.length / ROWS;
            return make(values.slice(start * width, end * width));
          };
          const dt_weight = resources.use(createMatrix(gpu, "dt", [67, dt_rank], { dtype }));
          writeMatrixRows(dt_weight, 0, weight.stored);
          const ssm_state = part(data.ssm_state);
          const y = part(new Float32Array(ROWS * 67));
          using program = new Program(gpu);
          selectiveScanStep(program, {
            ...{ xz: part(data.xz), x_dbl: part(data.x_dbl), dt_weight, dt_bias: make(dt_bias) },
            ...{ A_log: make(data.A_log), D: make(data.D), ssm_state, y },
          }, { ...shape, batch: end - start, byRows: end > start + 1, label: "test" });
          submit(gpu, [program]);
          return [await readFloats(gpu, y), await readFloats(gpu, ssm_state)];
        };
        const alone: Float32Array[][] = [];
        for (let row = 0; row < ROWS; row++) alone.push(await run(row, row + 1));
        for (const [start, end] of [[0, ROWS], [3, 8]] as const) {
          for (const [index, results] of (await run(start, end)).entries()) {
            const expected = alone.slice(start, end).flatMap((each) => [...each[index] ?? []]);
            assertEquals([...results], expected, `${dtype}, dt_rank ${dt_rank}, from ${start}`);
          }
        }
      }
    }
  }),
);
