// Run by checkpoint_test.ts with one permission: opens the checkpoint named by its argument.
import { openCheckpoint } from "../../src/io/checkpoint.ts";

using checkpoint = await openCheckpoint(Deno.args[0] ?? "");
const { config } = checkpoint;
const type = typeof config === "object" && config !== null && "model_type" in config
  ? config.model_type
  : undefined;
const tokenizer = await checkpoint.readText("tokenizer.json");
let count = 0;
for (const { name, sizeBytes } of checkpoint.tensors.tensors.values()) {
  if ((await checkpoint.tensors.read(name)).length === sizeBytes) count++;
}
await Deno.stdout.write(new TextEncoder().encode(`${type} ${count} ${tokenizer?.length}\n`));
