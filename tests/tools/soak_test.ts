import { assertEquals } from "@std/assert";
import { soak } from "../../tools/soak.ts";
import { goldenPath } from "../golden_files.ts";
import "../settle_readbacks.ts";

// The states that rewind() needs are there after 128 steps.
for (const [backend, steps] of [["cpu", 1000], ["webgpu", 200]] as const) {
  for (const name of ["mamba1", "classifier"]) {
    Deno.test(`soak() finds flat memory and no drift in ${name}, on ${backend}`, async () => {
      const source = goldenPath(name);
      const marks = await soak({ source, backend, steps: 2 * steps, marks: 2, threads: 1 });
      assertEquals(marks.map(({ step }) => step), [steps, 2 * steps]);
      for (const { step, differing, isSame, deviceBytes } of marks) {
        assertEquals([differing, isSame], [0, true], `${step}`);
        assertEquals(deviceBytes, marks[0]?.deviceBytes, `${step}`);
      }
    });
  }
}
