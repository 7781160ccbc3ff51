import { createCpuMatrix, writeMatrixRows } from "../../src/cpu/machine/matrix.ts";
import type { Cpu } from "../../src/cpu/machine/module.ts";
import { matmulFwd, matvecFwd } from "../../src/cpu/ops/linear.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { Random } from "../../src/checks/random.ts";

/** Products of sizes that threads share in many chunks, the last of them smaller. */
export interface ThreadedProduct extends Disposable {
  /** Computes them, and returns what they are. */
  run(): Float32Array;
}

/** A matvec and a matmul over the same weight. */
export function threadedProduct(cpu: Cpu): ThreadedProduct {
  const [rows, out, d_in] = [101, 1021, 300];
  const random = new Random(1);
  using made = new DisposableStack();
  const weight = made.use(createCpuMatrix(cpu, "weight", [out, d_in], { dtype: "f32" }));
  writeMatrixRows(weight, 0, random.linear(out, d_in));
  const x = made.use(createCpuTensor(cpu, "x", [rows, d_in]));
  x.write(random.normal(rows * d_in));
  const y = made.use(createCpuTensor(cpu, "y", [rows + 1, out]));
  const program = made.use(new CpuProgram(cpu));
  matvecFwd(program, { x, weight, y }, { rows: 1, label: "matvec" });
  matmulFwd(program, { x, weight, y: y.view(out * 4, [rows, out]) }, { rows, label: "matmul" });
  const owned = made.move();
  return {
    run(): Float32Array {
      y.write(new Float32Array(y.size).fill(NaN));
      program.run();
      return y.read();
    },
    [Symbol.dispose](): void {
      owned.dispose();
    },
  };
}
