import { assert } from "@std/assert";
import { defined } from "../defined.ts";
import { withGpu } from "../with_gpu.ts";
import { SOFTPLUS_CHECKS } from "../../src/checks/ops/softplus_checks.ts";
import { softplusOf } from "../../src/checks/webgpu_softplus.ts";
import { webgpuBench } from "../../src/checks/webgpu_bench.ts";
import { testChecks } from "./test_checks.ts";

testChecks(SOFTPLUS_CHECKS);

// The forms that come to mind first lose dt just where models have it, around softplus(-7) = 1e-3.
const SHORT_FORMS = {
  "log(1 + exp(v))": "return log(1.0 + exp(v));",
  "log(1 + exp(-|v|)) + max(v, 0)": "return max(v, 0.0) + log(1.0 + exp(-abs(v)));",
  "log(u) e / (u - 1)": "let e = exp(v); let u = 1.0 + e; return log(u) * e / (u - 1.0);",
};

for (const [name, body] of Object.entries(SHORT_FORMS)) {
  Deno.test(
    `the check of softplus() fails for ${name}`,
    withGpu(async (gpu) => {
      const softplus = softplusOf(`fn softplus(v: f32) -> f32 { ${body} }\n`);
      gpu.pipelines.clear(); // They are kept by kernel name, and every probe has the same.
      const measured = await SOFTPLUS_CHECKS[0]?.run(webgpuBench(gpu, { softplus }));
      gpu.pipelines.clear();
      const { worst } = defined(measured);
      assert(worst > 10, `the error is ${worst} x the limit`);
    }),
  );
}
