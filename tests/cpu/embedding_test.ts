import { assertEquals } from "@std/assert";
import { openCpu } from "../../src/cpu/module.ts";
import { embeddingFwd } from "../../src/cpu/ops/embedding.ts";
import { CpuProgram } from "../../src/cpu/program.ts";
import { createCpuTensor } from "../../src/cpu/tensor.ts";

Deno.test("embeddingFwd() gathers rows", async () => {
  for (const build of ["relaxed_threads", "relaxed", "plain"] as const) {
    using cpu = await openCpu({ build });
    using ids = createCpuTensor(cpu, "ids", [2]);
    ids.write(new Uint32Array([2, 1]));
    using weight = createCpuTensor(cpu, "weight", [3, 2]);
    weight.write(new Float32Array([1, 2, 3, 4, 5, 6]));
    using y = createCpuTensor(cpu, "y", [2, 2]);
    using program = new CpuProgram(cpu);
    embeddingFwd(program, { ids, weight, y }, { batch: 1, seqlen: 2, label: "test" });
    program.run();
    assertEquals([...y.read()], [5, 6, 3, 4]);
  }
});
