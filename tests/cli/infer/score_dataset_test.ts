import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { infer } from "../../../src/cli/infer/infer.ts";
import { mnistPixelsTask } from "../../../src/train/tasks/mnist_pixels.ts";
import { goldenPath } from "../../golden_files.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import { writeUntrained } from "../untrained_model.ts";
import "../../settle_readbacks.ts";

Deno.test("infer() score --dataset gives what the trainer's evaluation gives", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const preset of ["conditional", "unconditional"]) {
      const task = await mnistPixelsTask({
        ...{ preset, heldOut: 0, hyperparameters: { batchSize: 3 } },
        model: { d_model: 16, n_layer: 1, d_state: 4 },
      });
      const { loss, count } = await writeUntrained(folder, task);
      const terminal = new FakeTerminal();
      const args = ["score", folder, "--dataset", "mnist", "--split", "test", "--limit", "3"];
      assertEquals(await infer([...args, "--json"], terminal), 0, terminal.stderr);
      const { scored, natsPerPixel, bitsPerPixel } = JSON.parse(terminal.stdout);
      assertEquals([scored, count], [3 * 784, 3 * 784]);
      assertAlmostEquals(natsPerPixel, loss / count, 1e-5);
      assertAlmostEquals(bitsPerPixel, natsPerPixel / Math.LN2, 1e-12);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("infer() score --dataset refuses what does not go with it", async () => {
  const text = ["score", goldenPath("mamba1")];
  const cases: [string[], number, string][] = [
    [[...text, "--dataset", "mnist"], 1, "28 x 28, grey: this model makes no images"],
    [[...text, "--dataset", "mnist", "--window", "3"], 2, "Cannot use --window and --dataset"],
    [[...text, "--limit", "3"], 2, "Cannot use --limit: it belongs to --dataset"],
  ];
  for (const [args, code, message] of cases) {
    const terminal = new FakeTerminal();
    assertEquals(await infer(args, terminal), code);
    assert(terminal.stderr.includes(message), terminal.stderr);
  }
});
