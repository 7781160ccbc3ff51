import { assertEquals, assertThrows } from "@std/assert";
import { Random } from "../../src/checks/random.ts";
import { Program, submit } from "../../src/gpu/program.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { sizeTogether, viewsOf } from "../../src/passes/together.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { createMatrix } from "../../src/ops/matrix.ts";
import { selectiveScanFwd } from "../../src/ops/selective_scan.ts";
import { selectiveScanStep } from "../../src/ops/selective_scan_step.ts";
import { chunkStatesSize } from "../../src/ops/selective_scan_chunks.ts";
import { placeholders } from "../../src/ops/placeholders.ts";
import { withGpu } from "../with_gpu.ts";
import { SELECTIVE_SCAN_CHECKS } from "../../src/checks/ops/selective_scan_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(SELECTIVE_SCAN_CHECKS);

Deno.test(
  "selectiveScanFwd() by chunks has the same bits wherever the sequence is cut between them",
  withGpu(async (gpu) => {
    const sizes = { d_inner: 10, d_state: 16, dt_rank: 2 };
    const run = async (cuts: readonly number[]): Promise<Float32Array[]> => {
      using tensors = new DisposableStack();
      const seqlen = cuts.reduce((sum, cut) => sum + cut, 0);
      const random = new Random(7);
      const make = (name: string, values: Float32Array<ArrayBuffer>) => {
        const tensor = tensors.use(createTensor(gpu, name, [values.length]));
        tensor.write(values);
        return tensor;
      };
      const [rows, width] = [seqlen * sizes.d_inner, sizes.dt_rank + 2 * sizes.d_state];
      const all = {
        u: random.normal(rows),
        dt: random.dt(seqlen, sizes.d_inner),
        x_dbl: random.normal(seqlen * width),
        xz: random.normal(2 * rows),
      };
      const ssm_state = make("ssm_state", random.normal(sizes.d_inner * sizes.d_state));
      const A_log = make("A_log", random.A_log(sizes.d_inner, sizes.d_state));
      const D = make("D", random.uniform(sizes.d_inner, 0.5, 1.5));
      const outputs: Float32Array[] = [];
      let start = 0;
      for (const steps of cuts) {
        using program = new Program(gpu);
        const shape = { ...sizes, batch: 1, seqlen: steps, label: "check" };
        const part = (values: Float32Array<ArrayBuffer>) => {
          const each = values.length / seqlen;
          return values.slice(start * each, (start + steps) * each);
        };
        const count = steps * sizes.d_inner;
        const { u, dt } = viewsOf(
          tensors.use(createTensor(gpu, "u_dt", [sizeTogether({ u: count, dt: count })])),
          { u: count, dt: count },
        );
        u.write(part(all.u));
        dt.write(part(all.dt));
        const y = make("y", new Float32Array(count));
        const x_dbl = make("x_dbl", part(all.x_dbl));
        const chunk_states = make("chunk_states", new Float32Array(chunkStatesSize(sizes, shape)));
        const xz = make("xz", part(all.xz));
        selectiveScanFwd(
          program,
          { u, dt, x_dbl, xz, A_log, D, ssm_state, chunk_states, y },
          shape,
        );
        submit(gpu, [program]);
        outputs.push(await readFloats(gpu, y));
        start += steps;
      }
      return [
        Float32Array.from(outputs.flatMap((each) => [...each])),
        await readFloats(gpu, ssm_state),
      ];
    };
    assertEquals(await run([128, 64, 9]), await run([201]));
  }),
);

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
