import { assertEquals } from "@std/assert";
import { infer } from "../src/cli/infer/infer.ts";
import { FakeTerminal } from "./cli/terminal/fake_terminal.ts";
import "./settle_readbacks.ts";

const DATA = new URL("../../shared/data/", import.meta.url).pathname;

const CASES = [
  { name: "gunpoint", dataset: "series", data: "ucr/Gun_Point_TRAIN.txt", right: "150 of 150" },
  { name: "mnist1d", dataset: "mnist1d", data: "mnist1d/mnist1d_data.pkl", right: "992 of 1000" },
];

for (const { name, dataset, data, right } of CASES) {
  Deno.test({
    name: `weights/${name} has its figure over the whole test set`,
    ignore: !await Deno.stat(DATA + data).then(() => true, () => false),
    async fn() {
      const folder = new URL(`../weights/${name}`, import.meta.url).pathname;
      const terminal = new FakeTerminal();
      const args = ["--dataset", dataset, "--data", DATA + data, "--split", "test"];
      assertEquals(await infer(["classify", folder, ...args, "--backend", "cpu"], terminal), 0);
      assertEquals(terminal.stdout.split(" correct")[0], right);
    },
  });
}
