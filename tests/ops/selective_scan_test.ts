import { assertThrows } from "@std/assert";
import { Program } from "../../src/gpu/program.ts";
import { createMatrix } from "../../src/ops/matrix.ts";
import { selectiveScanStep } from "../../src/ops/selective_scan.ts";
import { placeholders } from "../../src/ops/placeholders.ts";
import { withGpu } from "../with_gpu.ts";
import { SELECTIVE_SCAN_CHECKS } from "../../src/checks/ops/selective_scan_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(SELECTIVE_SCAN_CHECKS);

Deno.test(
  "selectiveScanStep() refuses a quantized dt_proj",
  withGpu((gpu) => {
    using dt_weight = createMatrix(gpu, "dt_proj", [4, 2], { dtype: "int4" });
    using program = new Program(gpu);
    const { read: input, write: output } = placeholders(gpu);
    const inputs = { xz: input, x_dbl: input, dt_bias: input, A_log: input, D: input };
    const shape = { batch: 1, d_inner: 4, d_state: 1, dt_rank: 2, label: "layers.0.mixer.scan" };
    assertThrows(
      () =>
        selectiveScanStep(
          program,
          { ...inputs, dt_weight, ssm_state: output, y: output },
          shape,
        ),
      TypeError,
      "Cannot run layers.0.mixer.scan: dt_proj is int4, expected f32, f16 or bf16",
    );
  }),
);
