import { assertEquals } from "@std/assert";
import { soak } from "../../tools/soak.ts";
import { goldenPath } from "../golden_files.ts";
import "../settle_readbacks.ts";

for (const [backend, steps] of [["cpu", 2000], ["webgpu", 150]] as const) {
  for (const name of ["mamba1", "classifier"]) {
    Deno.test(`soak() finds flat memory and no drift in ${name}, on ${backend}`, async () => {
      const source = goldenPath(name);
      const marks = await soak({ source, backend, steps, marks: 4, threads: 1 });
      assertEquals(marks.map(({ step }) => step), [1, 2, 3, 4].map((mark) => steps * mark / 4));
      for (const { step, differing, isSame, deviceBytes } of marks) {
        assertEquals([differing, isSame], [0, true], `${step}`);
        assertEquals(deviceBytes, marks[1]?.deviceBytes, `${step}`);
      }
    });
  }
}
