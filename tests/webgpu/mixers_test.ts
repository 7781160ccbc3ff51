import { assertEquals, assertThrows } from "@std/assert";
import { mixers } from "../../src/model/mixers/mixers.ts";
import type { ModelConfig } from "../../src/model/config/config.ts";
import { CPU_PARTS } from "../../src/cpu/platform.ts";
import { WEBGPU_PARTS } from "../../src/webgpu/platform.ts";

function smallConfig(mixer: ReturnType<typeof mixers>[number]): ModelConfig {
  return mixer.newConfig({
    ...{ d_model: 16, n_layer: 2, d_state: 4, d_conv: 3, expand: 2, norm_epsilon: 1e-5 },
    input: { kind: "embedding", vocab_size: 11 },
    head: { kind: "lm", vocab_size: 11, tied: true },
    ...{ real_vocab_size: 11, eos_token_ids: [] },
  });
}

for (const mixer of mixers()) {
  Deno.test(`${mixer.name} runs and trains, with the state of its descriptor`, () => {
    const config = smallConfig(mixer);
    const shape = { batch: 1, seqlen: 2 };
    for (const parts of [WEBGPU_PARTS, CPU_PARTS]) {
      const part = parts.of(mixer);
      const training = parts.trainingOf(mixer);
      const states = Object.keys(mixer.stateShapes(config));
      assertEquals(Object.keys(training.keeps).sort(), states.sort());
      const activations = Object.keys(part.activationSizes(config, { rows: 2, batch: 1 }));
      const scratch = Object.keys(training.scratchSizes(config, shape));
      const named = [...training.recomputed, ...part.together];
      assertEquals(named.filter((name) => !activations.includes(name)), []);
      assertEquals(training.together.filter((name) => !scratch.includes(name)), []);
    }
  });
}

Deno.test("Parts.of() says what an executor cannot run", () => {
  const part = { name: "attention", weightSpecs: () => [], stateShapes: () => ({}) };
  assertThrows(() => WEBGPU_PARTS.of(part), TypeError, 'Cannot run "attention" on WebGPU');
  assertThrows(() => CPU_PARTS.of(part), TypeError, 'Cannot run "attention" on the CPU');
});
