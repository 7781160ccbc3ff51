/** Whole steps in one dispatch (step_mamba1, step_mamba2, grid_probe), held to the list of dispatches. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import type { StateArray } from "../../src/model/executor.ts";
import { type ModelConfig, parseConfig } from "../../src/model/config/config.ts";
import { inputWidth } from "../../src/model/ends.ts";
import type { SamplerSettings } from "../../src/model/sampler.ts";
import type { MatrixDType } from "../../src/model/weights/dtype.ts";
import { WebGpuExecutor } from "../../src/webgpu/executor.ts";
import { chooseStep } from "../../src/webgpu/fused/choose_step.ts";
import { FusedStep } from "../../src/webgpu/fused/fused_step.ts";
import { meetingTime } from "../../src/webgpu/fused/grid.ts";
import { randomWeights } from "../../tools/bench/random_weights.ts";
import { withGpu } from "../with_gpu.ts";

const GREEDY: SamplerSettings = {
  ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 3 },
};
const RANDOM: SamplerSettings = {
  ...{ temperature: 0.9, topK: 20, topP: 0.9, minP: 0.01, repetitionPenalty: 1.2, seed: 3 },
};

/** One workgroup: a software adapter has no others at the same time for sure. */
const TUNING = { groups: 1, lanes: 256 };

interface Case {
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly dtype: MatrixDType;
  readonly settings?: SamplerSettings;
}

const SIZES = { d_model: 40, n_layer: 2, vocab_size: 70, pad_vocab_size_multiple: 8 };

const CASES: readonly Case[] = [
  {
    name: "Mamba-1, f32, with biases and sizes that nothing divides",
    config: { ...SIZES, d_model: 37, ssm_cfg: { d_state: 5, d_conv: 3, dt_rank: 3, bias: true } },
    dtype: "f32",
  },
  {
    name: "Mamba-1, f16, all samplers",
    config: { ...SIZES, ssm_cfg: { d_state: 20, conv_bias: false } },
    dtype: "f16",
    settings: RANDOM,
  },
  { name: "Mamba-1, int8", config: { ...SIZES, ssm_cfg: {} }, dtype: "int8" },
  {
    name: "FalconMamba, bf16",
    config: {
      ...{ model_type: "falcon_mamba", hidden_size: 40, num_hidden_layers: 2, vocab_size: 70 },
      ...{ intermediate_size: 80, time_step_rank: 3, state_size: 16 },
    },
    dtype: "bf16",
  },
  {
    name: "a classifier of signals that pools the mean",
    config: {
      ...{
        d_model: 24,
        n_layer: 2,
        ssm_cfg: {},
        input: { kind: "linear", d_input: 3, bias: true },
      },
      head: { kind: "classifier", n_classes: 5, pool: "mean", bias: true },
    },
    dtype: "f32",
  },
  {
    name: "Mamba-2, int4",
    config: { ...SIZES, ssm_cfg: { layer: "Mamba2", d_state: 36, headdim: 20 } },
    dtype: "int4",
  },
  {
    name: "Mamba-2 without its norm, D of each channel",
    config: {
      ...SIZES,
      ssm_cfg: {
        ...{ layer: "Mamba2", d_state: 16, headdim: 10, ngroups: 2, rmsnorm: false },
        ...{ D_has_hdim: true, bias: true },
      },
    },
    dtype: "f16",
  },
];

for (const { name, config, dtype, settings = GREEDY } of CASES) {
  Deno.test(
    `whole steps in one dispatch equal the list of dispatches: ${name}`,
    withGpu(async (gpu) => {
      const parsed = parseConfig(config);
      const loaded = await randomWeights(gpu, parsed, dtype);
      using executor = new WebGpuExecutor(gpu, parsed, loaded);
      const expected = await steps(executor, parsed, settings);
      executor.useFused(new FusedStep(gpu, parsed, loaded.weights, TUNING));
      const found = await steps(executor, parsed, settings);
      const again = await steps(executor, parsed, settings);
      assert(executor.usesFused);
      assertSame(found, expected);
      assertEquals(again, found);
    }),
  );
}

/** The state after some steps, and after some draws of a model that draws. */
async function steps(
  executor: WebGpuExecutor,
  config: ModelConfig,
  settings: SamplerSettings,
): Promise<StateArray[]> {
  using state = executor.createState(1);
  using keep = executor.createState(1);
  executor.setSampler(state, settings);
  for (let step = 0; step < 3; step++) {
    const input = config.input.kind === "embedding"
      ? new Uint32Array([7 * step + 1])
      : Float32Array.from({ length: inputWidth(config) }, (_, i) => Math.sin(step + i));
    await executor.forward(state, input, { logits: "last" });
  }
  if (config.head.kind === "lm") {
    await executor.draw([{ state, steps: 3, consumeFirst: false, keep }]);
    await executor.draw([{ state, steps: 2, consumeFirst: true, keep }]);
  }
  return await executor.readState(state);
}

function assertSame(found: readonly StateArray[], expected: readonly StateArray[]): void {
  for (const [index, { name, bytes }] of expected.entries()) {
    assertEquals(found[index]?.bytes, bytes, name);
  }
}

Deno.test(
  "a burst whose workgroups wait in vain is repeated as a list, which is kept to",
  withGpu(async (gpu) => {
    const config = parseConfig({ ...SIZES, ssm_cfg: {} });
    const loaded = await randomWeights(gpu, config, "f16");
    using executor = new WebGpuExecutor(gpu, config, loaded);
    const expected = await steps(executor, config, GREEDY);
    executor.useFused(new FusedStep(gpu, config, loaded.weights, { groups: 4, lanes: 256 }, 0));
    const found = await steps(executor, config, GREEDY);
    assertEquals(executor.usesFused, false);
    assertEquals(found, expected);
  }),
);

Deno.test(
  "meetingTime() says whether workgroups meet",
  withGpu(async (gpu) => {
    assert((await meetingTime(gpu, { groups: 1, lanes: 256 }) ?? 0) > 0);
    // Nobody looks even once.
    assertEquals(await meetingTime(gpu, { groups: 64, lanes: 256 }, 0), undefined);
  }),
);

Deno.test(
  "chooseStep() refuses what it cannot have, and says why",
  withGpu(async (gpu) => {
    const ssm_cfg = { layer: "Mamba2", d_state: 16, headdim: 20, ngroups: 2 };
    const config = parseConfig({ ...SIZES, ssm_cfg });
    const loaded = await randomWeights(gpu, config, "f16");
    using executor = new WebGpuExecutor(gpu, config, loaded);
    const choose = (wanted: "auto" | "list" | "fused") => choice(gpu, executor, loaded, wanted);
    await assertRejects(() => choose("fused"), TypeError, "in 2 groups");
    assertEquals(await choose("list"), undefined);
    assertEquals(await choose("auto"), undefined);
    assertEquals(executor.usesFused, false);
  }),
);

Deno.test(
  "chooseStep() takes what is asked for, and then sessions in company have the bits of each alone",
  withGpu(async (gpu) => {
    const config = parseConfig({ ...SIZES, ssm_cfg: {} });
    const loaded = await randomWeights(gpu, config, "f16");
    using executor = new WebGpuExecutor(gpu, config, loaded);
    const note = await choice(gpu, executor, loaded, "fused");
    assert(note?.startsWith("steps go whole in one dispatch of 1 workgroups: one takes "));
    assert(executor.usesFused);
    const alone = [await company(executor, [5]), await company(executor, [9])].flat();
    assertEquals(await company(executor, [5, 9]), alone);
  }),
);

/** What each of some sequences, which begin with these ids, is after a few draws of all together. */
async function company(executor: WebGpuExecutor, ids: readonly number[]): Promise<StateArray[][]> {
  const states = ids.map(() => executor.createState(1));
  const keeps = ids.map(() => executor.createState(1));
  try {
    const requests = states.map((state, i) => ({
      ...{ state, steps: 3, consumeFirst: false, keep: keeps[i] ?? state },
    }));
    for (const [i, state] of states.entries()) {
      executor.setSampler(state, RANDOM);
      await executor.forward(state, new Uint32Array([ids[i] ?? 0]), { logits: "last" });
    }
    await executor.draw(requests);
    return await Promise.all(states.map((state) => executor.readState(state)));
  } finally {
    for (const state of [...states, ...keeps]) state[Symbol.dispose]();
  }
}

function choice(
  gpu: Gpu,
  executor: WebGpuExecutor,
  { weights }: Awaited<ReturnType<typeof randomWeights>>,
  wanted: "auto" | "list" | "fused",
): Promise<string | undefined> {
  return chooseStep(gpu, executor, weights, wanted);
}
