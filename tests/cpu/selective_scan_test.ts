import { assertThrows } from "@std/assert";
import { createCpuMatrix } from "../../src/cpu/machine/matrix.ts";
import { openCpu } from "../../src/cpu/machine/module.ts";
import { selectiveScanStep } from "../../src/cpu/ops/selective_scan.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { SELECTIVE_SCAN_CHECKS } from "../../src/checks/ops/selective_scan_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(SELECTIVE_SCAN_CHECKS);

const SHAPE = { batch: 1, d_inner: 4, d_state: 1, dt_rank: 2, label: "layers.0.mixer.scan" };

Deno.test("selectiveScanStep() refuses a quantized dt_proj, one of other sizes, and short tensors", async () => {
  using cpu = await openCpu();
  using made = new DisposableStack();
  const program = made.use(new CpuProgram(cpu));
  const tensor = made.use(createCpuTensor(cpu, "tensor", [8]));
  const short = tensor.view(0, [3]);
  const matrix = (dtype: "f32" | "int4", rows: number) =>
    made.use(createCpuMatrix(cpu, "dt_proj", [rows, 2], { dtype }));
  const tensors = {
    xz: tensor,
    x_dbl: tensor,
    dt_weight: matrix("f32", 4),
    dt_bias: tensor,
    A_log: tensor,
    D: tensor,
    ssm_state: tensor,
    y: tensor,
  };
  assertThrows(
    () => selectiveScanStep(program, { ...tensors, dt_weight: matrix("int4", 4) }, SHAPE),
    TypeError,
    "Cannot run layers.0.mixer.scan: dt_proj is int4, expected f32, f16 or bf16",
  );
  assertThrows(
    () => selectiveScanStep(program, { ...tensors, dt_weight: matrix("f32", 5) }, SHAPE),
    RangeError,
    "Cannot record layers.0.mixer.scan: dt_proj is [5, 2], expected [4, 2]",
  );
  for (const name of ["xz", "x_dbl", "dt_bias", "A_log", "D", "ssm_state", "y"]) {
    assertThrows(
      () => selectiveScanStep(program, { ...tensors, [name]: short }, SHAPE),
      RangeError,
      `Cannot record layers.0.mixer.scan: ${name} has 3 elements, and the sizes given need`,
    );
  }
});
