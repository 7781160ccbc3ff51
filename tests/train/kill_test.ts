import { assert, assertEquals } from "@std/assert";
import { killTraining } from "../../tools/kill_training.ts";

// The moments at which files are written are the same on both, and one of them starts in a tenth of the time: what WebGPU
// adds is that it goes on with the same bits.
for (const [backend, kills] of [["webgpu", 5], ["cpu", 20]] as const) {
  Deno.test(`a run that is killed ${kills} times leaves whole files at every moment, and ends with the bytes of one that was not, on ${backend}`, async () => {
    const { ended, differing } = await killTraining({ kills, seed: 1, backend });
    assert(ended > 0);
    assertEquals(differing, []);
  });
}
