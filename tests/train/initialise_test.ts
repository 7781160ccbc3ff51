import { assertAlmostEquals, assertEquals, assertNotEquals } from "@std/assert";
import type { ModelConfig } from "../../src/model/config/config.ts";
import type { Mamba1Config } from "../../src/model/mixers/mamba1.ts";
import { weightSpecs } from "../../src/model/weights/weight_specs.ts";
import { initialise } from "../../src/train/initialise.ts";
import { defined } from "../defined.ts";

const LM: Mamba1Config = {
  model_type: "mamba",
  d_model: 48,
  n_layer: 4,
  d_inner: 96,
  d_state: 6,
  d_conv: 4,
  dt_rank: 3,
  norm_epsilon: 1e-5,
  use_bias: true,
  use_conv_bias: true,
  input: { kind: "embedding", vocab_size: 101 },
  head: { kind: "lm", vocab_size: 101, tied: false },
  real_vocab_size: 101,
  eos_token_ids: [],
};

const CLASSIFIER: ModelConfig = {
  ...LM,
  n_layer: 1,
  input: { kind: "linear", d_input: 5, bias: true },
  head: { kind: "classifier", n_classes: 3, pool: "mean", bias: true },
  real_vocab_size: 0,
};

function extreme(values: Float32Array): number {
  return values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
}

Deno.test("initialise() makes every tensor of the model, in its size", () => {
  for (
    const config of [LM, CLASSIFIER, { ...LM, head: { ...LM.head, tied: true } } as ModelConfig]
  ) {
    const sizes = [...initialise(config, 1)].map(([name, values]) => [name, values.length]);
    const expected = weightSpecs(config).map(({ name, shape }) => [
      name,
      shape.reduce((a, b) => a * b, 1),
    ]);
    assertEquals(sizes, expected);
  }
});

Deno.test("initialise() gives the same bits for a seed, and others for another", () => {
  assertEquals(initialise(LM, 1), initialise(LM, 1));
  const name = "backbone.layers.0.mixer.in_proj.weight";
  assertNotEquals(initialise(LM, 1).get(name), initialise(LM, 2).get(name));
  assertEquals(initialise(LM, 1).get(name), initialise({ ...LM, n_layer: 1 }, 1).get(name));
  assertNotEquals(
    initialise(LM, 1).get(name),
    initialise(LM, 1).get("backbone.layers.1.mixer.in_proj.weight"),
  );
});

Deno.test("initialise() keeps to the published ranges", () => {
  const weights = initialise(LM, 3);
  const get = (name: string) => defined(weights.get(name), name);
  const mixer = (name: string) => get(`backbone.layers.2.mixer.${name}`);
  // Uniform within a bound: the largest of hundreds of values comes close to it, and none passes it.
  const bounds: [Float32Array, number][] = [
    [mixer("in_proj.weight"), 1 / Math.sqrt(48)],
    [mixer("x_proj.weight"), 1 / Math.sqrt(96)],
    [mixer("conv1d.weight"), 1 / 2],
    [mixer("conv1d.bias"), 1 / 2],
    [mixer("dt_proj.weight"), 1 / Math.sqrt(3)],
    [mixer("out_proj.weight"), 1 / Math.sqrt(96) / Math.sqrt(4)],
    [get("lm_head.weight"), 1 / Math.sqrt(48)],
  ];
  for (const [values, bound] of bounds) {
    const most = extreme(values) / bound;
    assertEquals(most > 0.95 && most <= 1.000001, true, `${most}`);
  }
  const embedding = get("backbone.embeddings.weight");
  const variance = embedding.reduce((sum, v) => sum + v * v, 0) / embedding.length;
  assertAlmostEquals(Math.sqrt(variance), 0.02, 0.001);
  for (const name of ["in_proj.bias", "out_proj.bias"]) assertEquals(extreme(mixer(name)), 0);
  assertEquals(mixer("D").every((v) => v === 1), true);
  assertEquals(get("backbone.norm_f.weight").every((v) => v === 1), true);
  const row = Float32Array.from([1, 2, 3, 4, 5, 6], Math.log);
  assertEquals(mixer("A_log").subarray(0, 6), row);
  assertEquals(mixer("A_log").subarray(-6), row);
});

Deno.test("initialise() makes dt log-uniform from 0.001 to 0.1", () => {
  const wide: Mamba1Config = { ...LM, d_inner: 2000 };
  const bias = defined(initialise(wide, 4).get("backbone.layers.0.mixer.dt_proj.bias"));
  const decades = Array.from(bias, (v) => Math.log10(Math.log1p(Math.exp(v))));
  assertAlmostEquals(Math.min(...decades), -3, 0.02);
  assertAlmostEquals(Math.max(...decades), -1, 0.02);
  assertAlmostEquals(decades.reduce((a, b) => a + b, 0) / decades.length, -2, 0.05);
});

Deno.test("initialise() makes heads of Mamba-2 as published", () => {
  const { dt_rank: _, ...common } = LM;
  const config: ModelConfig = {
    ...common,
    model_type: "mamba2",
    ...{ d_inner: 2000, nheads: 1000, headdim: 2, ngroups: 1, dt_limit: [0, Infinity] },
    ...{ rmsnorm: true, norm_before_gate: false, D_has_hdim: false },
  };
  const weights = initialise(config, 6);
  assertEquals([...weights.keys()], weightSpecs(config).map(({ name }) => name));
  const mixer = (name: string) => defined(weights.get(`backbone.layers.1.mixer.${name}`), name);
  const A = Array.from(mixer("A_log"), Math.exp);
  assertAlmostEquals(Math.min(...A), 1, 0.1);
  assertAlmostEquals(Math.max(...A), 16, 0.1);
  assertAlmostEquals(A.reduce((a, b) => a + b, 0) / A.length, 8.5, 0.5);
  const decades = Array.from(mixer("dt_bias"), (v) => Math.log10(Math.log1p(Math.exp(v))));
  assertAlmostEquals(Math.min(...decades), -3, 0.02);
  assertAlmostEquals(Math.max(...decades), -1, 0.02);
  for (const name of ["D", "norm.weight"]) assertEquals(mixer(name).every((v) => v === 1), true);
});

Deno.test("initialise() makes linear inputs and classifier heads", () => {
  const weights = initialise(CLASSIFIER, 5);
  const input = extreme(defined(weights.get("backbone.input_proj.weight"))) * Math.sqrt(5);
  assertEquals(input > 0.95 && input <= 1.000001, true, `${input}`);
  const head = extreme(defined(weights.get("classifier.weight"))) * Math.sqrt(48);
  assertEquals(head > 0.9 && head <= 1.000001, true, `${head}`);
  assertEquals(extreme(defined(weights.get("backbone.input_proj.bias"))), 0);
  assertEquals(extreme(defined(weights.get("classifier.bias"))), 0);
});
