import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  ConfigError,
  type HeadConfig,
  type ImagePreprocessing,
  type InputConfig,
  type ModelConfig,
  parseConfig,
  toHfConfig,
} from "../../../src/model/config/config.ts";
import type { Mamba1Config } from "../../../src/model/mixers/mamba1.ts";
import { mamba1Config } from "../../mamba1_config.ts";
import { Random } from "../../../src/checks/random.ts";
import { assertParsesOrRefuses } from "./mutated_configs.ts";

/** The official package's file for 130m: five settings, the rest is derived. */
const RAW_130M = {
  d_model: 768,
  n_layer: 24,
  vocab_size: 50277,
  ssm_cfg: {},
  rms_norm: true,
  residual_in_fp32: true,
  fused_add_norm: true,
  pad_vocab_size_multiple: 8,
};

/** The -hf file for the same model, which carries names of both dialects. */
const HF_130M = {
  architectures: ["MambaForCausalLM"],
  model_type: "mamba",
  bos_token_id: 0,
  conv_kernel: 4,
  d_inner: 1536,
  d_model: 768,
  eos_token_id: 0,
  expand: 2,
  fused_add_norm: true,
  hidden_act: "silu",
  hidden_size: 768,
  initializer_range: 0.1,
  intermediate_size: 1536,
  layer_norm_epsilon: 1e-5,
  n_layer: 24,
  num_hidden_layers: 24,
  pad_token_id: 0,
  pad_vocab_size_multiple: 8,
  rescale_prenorm_residual: false,
  residual_in_fp32: true,
  rms_norm: true,
  ssm_cfg: {},
  state_size: 16,
  time_step_rank: 48,
  torch_dtype: "float32",
  use_bias: false,
  use_cache: true,
  use_conv_bias: true,
  vocab_size: 50280,
};

const EXPECTED_130M: Mamba1Config = {
  model_type: "mamba",
  d_model: 768,
  n_layer: 24,
  d_inner: 1536,
  d_state: 16,
  d_conv: 4,
  dt_rank: 48,
  norm_epsilon: 1e-5,
  use_bias: false,
  use_conv_bias: true,
  input: { kind: "embedding", vocab_size: 50280 },
  head: { kind: "lm", vocab_size: 50280, tied: true },
  real_vocab_size: 50277,
  eos_token_ids: [],
};

/** A small classifier of rows of pixels. */
const CLASSIFIER = {
  model_type: "mamba",
  hidden_size: 16,
  num_hidden_layers: 1,
  input: { kind: "linear", d_input: 28, bias: true },
  head: { kind: "classifier", n_classes: 3, pool: "mean", bias: true },
  preprocessing: {
    kind: "image",
    width: 28,
    height: 28,
    channels: 1,
    step: "row",
    rescale: 1 / 255,
    mean: [0.1307],
    std: [0.3081],
  },
  labels: ["a", "b", "c"],
};

/** A model of grey images of two classes, pixel by pixel. */
const PIXELS = {
  model_type: "mamba",
  hidden_size: 16,
  num_hidden_layers: 1,
  vocab_size: 258,
  real_vocab_size: 256,
  preprocessing: { kind: "pixels", width: 28, height: 20 },
  labels: ["a", "b"],
};

function refusal(json: unknown): string {
  return assertThrows(() => parseConfig(json), ConfigError).message;
}

Deno.test("parseConfig() derives every absent field of a raw config", () => {
  assertEquals(parseConfig(RAW_130M), EXPECTED_130M);
  assertEquals(parseConfig({ d_model: 768, n_layer: 24, vocab_size: 50277 }), EXPECTED_130M);
  assertEquals(
    parseConfig({ ...RAW_130M, ssm_cfg: null, attn_layer_idx: [], attn_cfg: {} }),
    EXPECTED_130M,
  );
});

Deno.test("parseConfig() reads the -hf form of the same model", () => {
  const expected = { ...EXPECTED_130M, real_vocab_size: 50280, eos_token_ids: [0] };
  assertEquals(parseConfig(HF_130M), expected);
  assertEquals(
    parseConfig({
      model_type: "mamba",
      hidden_size: 768,
      num_hidden_layers: 24,
      vocab_size: 50280,
    }),
    expected,
  );
});

Deno.test("parseConfig() rounds dt_rank up", () => {
  for (const [d_model, dt_rank] of [[16, 1], [17, 2], [52, 4], [2560, 160]]) {
    for (const ssm_cfg of [{}, { dt_rank: "auto" }]) {
      const config = parseConfig({ d_model, n_layer: 1, vocab_size: 8, ssm_cfg });
      assertEquals(mamba1Config(config).dt_rank, dt_rank);
    }
  }
});

Deno.test("parseConfig() reads every setting of ssm_cfg", () => {
  const config = parseConfig({
    d_model: 52,
    n_layer: 3,
    vocab_size: 101,
    pad_vocab_size_multiple: 1,
    tie_embeddings: false,
    norm_epsilon: 1e-6,
    eos_token_id: [3, 100],
    ssm_cfg: {
      layer: "Mamba1",
      d_state: 12,
      d_conv: 3,
      expand: 3,
      dt_rank: 5,
      bias: true,
      conv_bias: false,
      dt_min: 0.001,
    },
  });
  assertEquals(config, {
    model_type: "mamba",
    d_model: 52,
    n_layer: 3,
    d_inner: 156,
    d_state: 12,
    d_conv: 3,
    dt_rank: 5,
    norm_epsilon: 1e-6,
    use_bias: true,
    use_conv_bias: false,
    input: { kind: "embedding", vocab_size: 101 },
    head: { kind: "lm", vocab_size: 101, tied: false },
    real_vocab_size: 101,
    eos_token_ids: [3, 100],
  });
});

Deno.test("parseConfig() pads the vocabulary of raw configs alone", () => {
  const sizes = { vocab_size: 50277, pad_vocab_size_multiple: 16 };
  const raw = parseConfig({ d_model: 8, n_layer: 1, ...sizes });
  assertEquals(raw.input, { kind: "embedding", vocab_size: 50288 });
  assertEquals(raw.real_vocab_size, 50277);
  const hf = parseConfig({ hidden_size: 8, model_type: "mamba", n_layer: 1, ...sizes });
  assertEquals(hf.input, { kind: "embedding", vocab_size: 50277 });
  assertEquals(hf.real_vocab_size, 50277);
});

Deno.test("parseConfig() believes a table that has no padding, unless the config says it has", () => {
  const raw = { d_model: 8, n_layer: 1, vocab_size: 101 };
  const rows = (config: object, tableRows: number) => {
    const { input } = parseConfig(config, "config.json", tableRows);
    return input.kind === "embedding" ? input.vocab_size : 0;
  };
  assertEquals(rows(raw, 101), 101);
  assertEquals(rows(raw, 104), 104);
  assertEquals(rows(raw, 112), 104);
  assertEquals(rows({ ...raw, pad_vocab_size_multiple: 8 }, 101), 104);
});

Deno.test("parseConfig() takes intermediate_size as it is where expand is absent", () => {
  const config = parseConfig({
    ...HF_130M,
    expand: undefined,
    d_inner: 1000,
    intermediate_size: 1000,
  });
  assertEquals(mamba1Config(config).d_inner, 1000);
});

Deno.test("parseConfig() reads end-of-sequence ids in each form", () => {
  const ids = (eos_token_id: unknown) => parseConfig({ ...HF_130M, eos_token_id }).eos_token_ids;
  assertEquals(ids(5), [5]);
  assertEquals(ids([5, 6]), [5, 6]);
  assertEquals(ids([]), []);
  assertEquals(ids(null), []);
  assertEquals(ids(undefined), [0]);
  // Past the vocabulary, as in small models that keep their family's id.
  assertEquals(ids([50280, 3]), [3]);
});

Deno.test("parseConfig() reads a model of pixels, with classes and without", () => {
  const config = parseConfig(PIXELS);
  assertEquals(config.preprocessing, { kind: "pixels", width: 28, height: 20 });
  assertEquals(config.labels, ["a", "b"]);
  assertEquals(parseConfig(JSON.parse(JSON.stringify(toHfConfig(config)))), config);
  const { labels: _labels, ...unconditional } = PIXELS;
  assertEquals(parseConfig({ ...unconditional, vocab_size: 257 }).labels, undefined);
});

Deno.test("parseConfig() reads a classifier with preprocessing and labels", () => {
  const config = parseConfig(CLASSIFIER);
  assertEquals(config.input, { kind: "linear", d_input: 28, bias: true });
  assertEquals(config.head, { kind: "classifier", n_classes: 3, pool: "mean", bias: true });
  assertEquals(config.labels, ["a", "b", "c"]);
  assertEquals(config.real_vocab_size, 0);
  assertEquals(config.eos_token_ids, []);
  assertEquals(config.preprocessing, CLASSIFIER.preprocessing);
});

Deno.test("parseConfig() says what was found and what is needed", () => {
  assertEquals(
    refusal({ model_type: "llama" }),
    'Cannot load config.json: model_type is "llama", expected "mamba", "mamba2", "mamba3", "s4d", "s4" or "falcon_mamba"',
  );
  assertEquals(
    refusal({ ...RAW_130M, d_model: -1 }),
    "Cannot load config.json: d_model is -1, expected an integer from 1 to 1048576",
  );
  assertEquals(
    refusal({ ...RAW_130M, ssm_cfg: { d_state: "16" } }),
    'Cannot load config.json: ssm_cfg.d_state is "16", expected an integer from 1 to 65536',
  );
  assertEquals(
    assertThrows(() => parseConfig([1], "model/config.json"), ConfigError).message,
    "Cannot load model/config.json: the file holds an array of 1, expected an object",
  );
});

Deno.test("parseConfig() refuses other models by name", () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ model_type: "jamba" }, /model_type is "jamba" \(a hybrid with attention layers\), which/],
    [{ model_type: 7 }, /model_type is 7, expected "mamba"/],
    [{ model_type: null }, /model_type is null, expected "mamba"/],
    [{ ...RAW_130M, ssm_cfg: { layer: "S4" } }, /ssm_cfg\.layer is "S4", expected "Mamba1", /],
    [
      { ...RAW_130M, ssm_cfg: { layer: "Mamba2", dt_rank: 4 } },
      /ssm_cfg\.dt_rank is 4, and Mamba-2 has no such setting/,
    ],
    [{ ...RAW_130M, ssm_cfg: { headdim: 64 } }, /ssm_cfg\.headdim is 64, and Mamba-1 has no such/],
    [{ ...RAW_130M, attn_layer_idx: [9, 18] }, /attn_layer_idx names 2 attention layers.*hybrid/],
    [{ ...RAW_130M, d_intermediate: 1024 }, /d_intermediate is 1024/],
    [{ ...RAW_130M, rms_norm: false }, /rms_norm is false \(LayerNorm\)/],
    [{ ...HF_130M, hidden_act: "gelu" }, /hidden_act is "gelu", expected "silu"/],
    [{ architectures: ["LlamaForCausalLM"], hidden_size: 8 }, /"LlamaForCausalLM"/],
    [{ architectures: ["JambaForCausalLM"], hidden_size: 8 }, /"JambaForCausalLM"/],
    [{ dim: 4096, n_layers: 32, n_heads: 32 }, /n_heads is 32 \(a model of attention\), which/],
    [{ hidden_size: 768, num_attention_heads: 12 }, /model_type is absent, expected "mamba"/],
  ];
  for (const [json, message] of cases) {
    const text = refusal(json);
    assert(message.test(text), text);
  }
});

Deno.test("parseConfig() believes a config of transformers over what it kept of another dialect", () => {
  const leftovers: Record<string, unknown>[] = [
    { d_model: 512, d_inner: 1024, dim: 3 },
    { n_layer: 12, n_layers: 3 },
    { ssm_cfg: { layer: "Mamba2", d_state: 8, expand: 4, d_conv: 3, unknown: 1 } },
    { dt_rank: 9, d_state: 8, d_conv: 3, bias: true, conv_bias: false, norm_epsilon: 1e-6 },
    { tie_embeddings: false, tie_word_embeddings: true },
    { attn_layer_idx: [3], attn_cfg: { num_heads: 4 }, d_intermediate: 64 },
    { expand: 3 },
  ];
  const expected = parseConfig(HF_130M);
  for (const fields of leftovers) assertEquals(parseConfig({ ...HF_130M, ...fields }), expected);
  const wide = parseConfig({ ...HF_130M, intermediate_size: 3072, d_inner: undefined });
  assertEquals(Object.entries(wide).find(([name]) => name === "d_inner"), ["d_inner", 3072]);
  // What does not say what it is may be of either dialect: there all must agree.
  const unnamed = { ...HF_130M, model_type: undefined, architectures: undefined, d_model: 512 };
  assert(refusal(unnamed).includes("d_model is 512"), refusal(unnamed));
});

Deno.test("parseConfig() refuses contradictions with both values", () => {
  const row = CLASSIFIER.preprocessing;
  const cases: [Record<string, unknown>, string, string][] = [
    [{ ...RAW_130M, n_layers: 12 }, "n_layer is 24", "n_layers is 12"],
    [{ ...RAW_130M, d_inner: 1024, expand: 2 }, "d_inner is 1024", "2 * 768 = 1536"],
    [{ ...RAW_130M, d_state: 16, ssm_cfg: { d_state: 8 } }, "is 16", "ssm_cfg.d_state is 8"],
    [{ ...RAW_130M, bias: false, ssm_cfg: { bias: true } }, "is false", "ssm_cfg.bias is true"],
    [
      { ...RAW_130M, tie_word_embeddings: true, tie_embeddings: false },
      "tie_word_embeddings is true",
      "tie_embeddings is false",
    ],
    [{ ...HF_130M, eos_token_id: -1 }, "eos_token_id is -1", "expected token ids"],
    [{ ...HF_130M, real_vocab_size: 50281 }, "real_vocab_size is 50281", "vocab_size is 50280"],
    [{ ...RAW_130M, real_vocab_size: 50270 }, "real_vocab_size is 50270", "vocab_size is 50277"],
    [{ ...CLASSIFIER, labels: ["a"] }, "labels has 1 names", "head.n_classes is 3"],
    [{ ...HF_130M, labels: ["a"] }, "labels has 1 names", 'head.kind is "lm"'],
    [
      { ...HF_130M, preprocessing: row },
      'preprocessing.kind is "image"',
      'input.kind is "embedding"',
    ],
    [{ ...PIXELS, labels: ["a"] }, "labels has 1 names", "vocab_size - real_vocab_size is 2"],
    [{ ...PIXELS, real_vocab_size: 255 }, 'kind is "pixels"', "of 258 ids 255 can be drawn"],
    [{ ...PIXELS, vocab_size: 256 }, 'kind is "pixels"', "of 256 ids 256 can be drawn"],
    [
      { ...CLASSIFIER, preprocessing: PIXELS.preprocessing },
      'kind is "pixels"',
      'input.kind is "linear"',
    ],
    [
      { ...PIXELS, preprocessing: { kind: "pixels", width: 28 } },
      "preprocessing.height is absent",
      "an integer from 1",
    ],
    [
      { ...CLASSIFIER, preprocessing: { ...row, step: "image" } },
      "784 numbers a step",
      "input.d_input is 28",
    ],
    [
      { ...CLASSIFIER, preprocessing: { ...row, step: "patch", patch_size: 5 } },
      "patch_size is 5",
      "28 x 28",
    ],
    [
      { ...CLASSIFIER, preprocessing: { ...row, patch_size: 4 } },
      "patch_size is 4",
      'step is "row"',
    ],
    [
      {
        ...CLASSIFIER,
        head: undefined,
        labels: undefined,
        vocab_size: 9,
        tie_word_embeddings: true,
      },
      "tie_word_embeddings is true",
      'input.kind is "linear"',
    ],
  ];
  for (const [json, one, other] of cases) {
    const text = refusal(json);
    assert(text.includes(one) && text.includes(other), text);
  }
});

Deno.test("parseConfig() refuses every value that is not a sane size", () => {
  const wrong = [NaN, Infinity, -Infinity, 0, -4, 2.5, 1e300, 2 ** 53, "4", true, null, [4], {}];
  const sizes = ["d_model", "n_layer", "vocab_size", "pad_vocab_size_multiple"];
  for (const value of wrong) {
    for (const name of sizes) {
      const text = refusal({ ...RAW_130M, [name]: value });
      assert(text.startsWith(`Cannot load config.json: ${name} is `), text);
    }
    for (const name of ["d_state", "d_conv", "expand", "dt_rank"]) {
      const text = refusal({ ...RAW_130M, ssm_cfg: { [name]: value } });
      assert(text.startsWith(`Cannot load config.json: ssm_cfg.${name} is `), text);
    }
    for (const name of ["hidden_size", "num_hidden_layers", "intermediate_size", "state_size"]) {
      const text = refusal({ ...HF_130M, [name]: value });
      assert(text.startsWith(`Cannot load config.json: ${name} is `), text);
    }
  }
  for (const value of [NaN, Infinity, 0, -1e-5, 2, "1e-5", null]) {
    assert(refusal({ ...HF_130M, layer_norm_epsilon: value }).includes("layer_norm_epsilon is "));
  }
  for (const value of [1, 0, "true", null, [], {}]) {
    assert(refusal({ ...HF_130M, use_bias: value }).includes("use_bias is "));
  }
});

Deno.test("parseConfig() names a size that is absent", () => {
  for (const name of ["d_model", "n_layer", "vocab_size"]) {
    const text = refusal({ ...RAW_130M, [name]: undefined });
    assert(text.startsWith(`Cannot load config.json: ${name} is absent, expected`), text);
  }
});

Deno.test("parseConfig() refuses products that no kernel can address", () => {
  const text = refusal({ d_model: 2 ** 20, n_layer: 1, vocab_size: 2 ** 24 });
  assert(text.includes("17592186044416 elements") && text.includes("4294967295"), text);
  const state = refusal({
    d_model: 2 ** 14,
    n_layer: 4096,
    vocab_size: 8,
    ssm_cfg: { d_state: 64 },
  });
  assert(state.includes("the state [n_layer, d_inner, d_conv + d_state]"), state);
});

Deno.test("parseConfig() refuses what is not an object, and inherited fields", () => {
  for (const json of [undefined, null, 1, "{}", true, [], [RAW_130M]]) {
    assert(refusal(json).includes("expected an object"));
  }
  assert(refusal(Object.create(RAW_130M)).includes("d_model is absent"));
  assert(refusal(JSON.parse('{"__proto__": {"d_model": 8}}')).includes("d_model is absent"));
});

Deno.test("parseConfig() keeps long values out of the message", () => {
  assert(refusal({ model_type: "x".repeat(100_000) }).length < 200);
  assert(refusal({ ...RAW_130M, ssm_cfg: { ["y".repeat(100_000)]: 1 } }).length < 200);
});

Deno.test("toHfConfig() writes the official names", () => {
  const json = toHfConfig(parseConfig(RAW_130M));
  for (const name of ["d_inner", "d_model", "n_layer", "ssm_cfg"]) assert(!(name in json), name);
  const { model_type, hidden_size, intermediate_size, state_size, time_step_rank } = json;
  assertEquals(
    { model_type, hidden_size, intermediate_size, state_size, time_step_rank },
    {
      model_type: "mamba",
      hidden_size: 768,
      intermediate_size: 1536,
      state_size: 16,
      time_step_rank: 48,
    },
  );
  assertEquals(json["vocab_size"], 50280);
  assertEquals(json["architectures"], ["MambaForCausalLM"]);
  assertEquals(json["torch_dtype"], "float32");
});

Deno.test("toHfConfig() refuses two vocabularies", () => {
  const head: HeadConfig = { kind: "lm", vocab_size: 10, tied: false };
  assertThrows(() => toHfConfig({ ...EXPECTED_130M, head }), RangeError, "head.vocab_size is 10");
});

Deno.test("parseConfig() reads back what toHfConfig() wrote", () => {
  const random = seededRandom(20);
  for (let round = 0; round < 500; round++) {
    const config = randomConfig(random);
    const text = JSON.stringify(toHfConfig(config));
    assertEquals(parseConfig(JSON.parse(text)), config, text);
  }
});

Deno.test("parseConfig() gives a value or a ConfigError for any mutation of a config", () => {
  const texts = [RAW_130M, HF_130M, CLASSIFIER].map((json) => JSON.stringify(json));
  assertParsesOrRefuses(texts, { seed: 5, rounds: 3000 });
});

/** Whole numbers and coin flips from the seeded source. */
function seededRandom(seed: number): SeededRandom {
  const random = new Random(seed);
  return {
    integer: (min, max) => min + Math.floor(random.next() * (max - min + 1)),
    flip: () => random.next() < 0.5,
  };
}

interface SeededRandom {
  /** From `min` to `max`, both possible. */
  integer(min: number, max: number): number;
  flip(): boolean;
}

function randomConfig(random: SeededRandom): Mamba1Config {
  const { integer, flip } = random;
  const d_model = integer(1, 300);
  const vocab_size = integer(1, 5000);
  const input = randomInput(random, vocab_size);
  const isClassifier = flip();
  const n_classes = integer(1, 12);
  const head: HeadConfig = isClassifier
    ? { kind: "classifier", n_classes, pool: flip() ? "last" : "mean", bias: flip() }
    : { kind: "lm", vocab_size, tied: input.kind === "embedding" && flip() };
  const hasVocabulary = input.kind === "embedding" || !isClassifier;
  const eos_token_ids = hasVocabulary
    ? Array.from({ length: integer(0, 3) }, () => integer(0, vocab_size - 1))
    : [];
  return {
    model_type: "mamba",
    d_model,
    n_layer: integer(1, 48),
    d_inner: flip() ? d_model * integer(1, 4) : integer(1, 900),
    d_state: integer(1, 64),
    d_conv: integer(1, 8),
    dt_rank: integer(1, 40),
    norm_epsilon: 10 ** -integer(1, 9),
    use_bias: flip(),
    use_conv_bias: flip(),
    input,
    head,
    real_vocab_size: hasVocabulary ? integer(1, vocab_size) : 0,
    eos_token_ids,
    ...(input.kind === "linear" ? randomPreprocessing(random, input.d_input) : {}),
    ...(isClassifier && flip()
      ? { labels: Array.from({ length: n_classes }, (_, index) => `class "${index}"`) }
      : {}),
  };
}

function randomInput({ integer, flip }: SeededRandom, vocab_size: number): InputConfig {
  return flip()
    ? { kind: "embedding", vocab_size }
    : { kind: "linear", d_input: integer(1, 60), bias: flip() };
}

/** Preprocessing whose step is `d_input` numbers, or none. */
function randomPreprocessing(
  { integer, flip }: SeededRandom,
  d_input: number,
): Pick<ModelConfig, "preprocessing"> {
  const kind = integer(0, 3);
  if (kind === 0) return {};
  const numbers = (length: number) => Array.from({ length }, () => integer(1, 1000) / 997);
  if (kind === 1) {
    return { preprocessing: { kind: "series", mean: numbers(d_input), std: numbers(d_input) } };
  }
  if (kind === 2) {
    return {
      preprocessing: {
        ...{
          kind: "audio",
          sample_rate: 2 * integer(2000, 9000),
          window: 256,
          hop: integer(1, 300),
        },
        ...{
          n_mels: d_input,
          f_min: integer(0, 60),
          f_max: 2000,
          floor: 1e-9,
          frames: integer(1, 90),
        },
        ...{ margin_db: integer(1, 20), lead_frames: integer(1, 9), end_frames: integer(1, 20) },
        ...{ mean: numbers(d_input), std: numbers(d_input) },
      },
    };
  }
  const shape: Pick<ImagePreprocessing, "width" | "height" | "channels" | "step" | "patch_size"> =
    flip() || d_input % 4 !== 0
      ? { width: d_input, height: integer(1, 64), channels: 1, step: "row" }
      : { width: 6, height: 8, channels: d_input / 4, step: "patch", patch_size: 2 };
  return {
    preprocessing: {
      kind: "image",
      ...shape,
      rescale: 1 / 255,
      mean: numbers(shape.channels),
      std: numbers(shape.channels),
    },
  };
}
