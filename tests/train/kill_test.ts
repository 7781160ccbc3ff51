import { assert, assertEquals } from "@std/assert";
import { killTraining } from "../../tools/kill_training.ts";

for (const backend of ["webgpu", "cpu"]) {
  Deno.test(`a run that is killed 20 times leaves whole files at every moment, and ends with the bytes of one that was not, on ${backend}`, async () => {
    const { ended, differing } = await killTraining({ kills: 20, seed: 1, backend });
    assert(ended > 0);
    assertEquals(differing, []);
  });
}
