import { assertEquals, assertThrows } from "@std/assert";
import { mixers } from "../../src/model/mixers/mixers.ts";
import type { ModelConfig } from "../../src/model/config/config.ts";
import { partOf, trainingOf } from "../../src/webgpu/mixers/mixers.ts";

function smallConfig(mixer: ReturnType<typeof mixers>[number]): ModelConfig {
  return mixer.newConfig({
    ...{ d_model: 16, n_layer: 2, d_state: 4, d_conv: 3, expand: 2, norm_epsilon: 1e-5 },
    input: { kind: "embedding", vocab_size: 11 },
    head: { kind: "lm", vocab_size: 11, tied: true },
    ...{ real_vocab_size: 11, eos_token_ids: [] },
  });
}

for (const mixer of mixers()) {
  Deno.test(`${mixer.name} runs and trains on WebGPU, with the state of its descriptor`, () => {
    const config = smallConfig(mixer);
    const { keeps, recomputed } = trainingOf(mixer);
    assertEquals(Object.keys(keeps).sort(), Object.keys(mixer.stateShapes(config)).sort());
    const names = Object.keys(partOf(mixer).activationSizes(config, { rows: 2, batch: 1 }));
    assertEquals([...recomputed].filter((name) => !names.includes(name)), []);
  });
}

Deno.test("partOf() says what WebGPU cannot run", () => {
  const part = { name: "attention", weightSpecs: () => [], stateShapes: () => ({}) };
  assertThrows(() => partOf(part), TypeError, 'Cannot run "attention" on WebGPU');
});
