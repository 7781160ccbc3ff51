import { assertEquals } from "@std/assert";
import { killTraining } from "../../tools/kill_training.ts";

Deno.test("a run that is killed 20 times leaves whole files at every moment, and ends with the bytes of one that was not", async () => {
  const { killed, straight } = await killTraining({ kills: 20, seed: 1 });
  assertEquals(killed, straight);
});
