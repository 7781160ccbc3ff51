import { assert, assertEquals } from "@std/assert";
import { parseConfig } from "../../src/model/config/config.ts";
import { elementCount } from "../../src/model/shapes.ts";
import { keptParts, stateBytes, stateLayout } from "../../src/model/state_layout.ts";
import { goldenPath } from "../golden_files.ts";

function configOf(folder: string) {
  return parseConfig(JSON.parse(Deno.readTextFileSync(goldenPath(folder, "config.json"))));
}

const FOLDERS = ["mamba1", "falcon-mamba", "mamba2", "mamba2-groups", "classifier"];

for (const folder of FOLDERS) {
  Deno.test(`stateLayout() puts the parts of ${folder} one after the other, each where it can be bound`, () => {
    for (const batch of [1, 3]) {
      const { parts, sizeBytes } = stateLayout(configOf(folder), batch);
      let end = 0;
      for (const { name, offset, shape } of parts.values()) {
        assertEquals(offset, Math.ceil(end / 256) * 256, name);
        assertEquals(shape[0], batch, name);
        end = offset + 4 * elementCount(shape);
      }
      assertEquals(sizeBytes, Math.ceil(end / 256) * 256);
    }
  });
}

Deno.test("keptParts() are those of a snapshot, by its names and in its order", () => {
  const names = (folder: string) =>
    keptParts(stateLayout(configOf(folder), 1)).map(({ name }) => name);
  const ofLayers = (count: number) =>
    Array.from({ length: count }, (_, layer) => [
      `layers.${layer}.conv_state`,
      `layers.${layer}.ssm_state`,
    ]).flat();
  const { n_layer } = configOf("mamba2");
  assertEquals(names("mamba2"), [...ofLayers(n_layer), "seen", "tokens", "draws", "logits"]);
  const classifier = configOf("classifier");
  assertEquals(names("classifier"), [...ofLayers(classifier.n_layer), "pool_state", "logits"]);
  assert(!names("classifier-last").includes("pool_state"));
});

Deno.test("stateBytes() are those of what blocks carry and of a classifier's mean", () => {
  for (const folder of [...FOLDERS, "classifier-last"]) {
    const config = configOf(folder);
    const bytes = keptParts(stateLayout(config, 1))
      .filter(({ name }) => name.startsWith("layers.") || name === "pool_state")
      .reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
    assertEquals(stateBytes(config), bytes, folder);
  }
});
