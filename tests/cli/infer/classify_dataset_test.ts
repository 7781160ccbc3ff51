import { assertEquals } from "@std/assert";
import { infer } from "../../../src/cli/infer/infer.ts";
import { mnistTask } from "../../../src/train/tasks/mnist.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import { writeUntrained } from "../untrained_model.ts";
import "../../settle_readbacks.ts";

Deno.test("infer() classify --dataset counts as the trainer's evaluation does", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const preset of ["rows", "pixels"]) {
      const task = await mnistTask({
        ...{ preset, heldOut: 0, hyperparameters: { batchSize: 40 } },
        model: { d_model: 16, n_layer: 1, d_state: 4 },
      });
      const { correct, count } = await writeUntrained(folder, task);
      const terminal = new FakeTerminal();
      const args = ["classify", folder, "--dataset", "mnist", "--split", "test", "--limit", "40"];
      assertEquals(await infer([...args, "--json"], terminal), 0, terminal.stderr);
      const result = JSON.parse(terminal.stdout);
      assertEquals([result.correct, result.total], [correct, count], preset);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
