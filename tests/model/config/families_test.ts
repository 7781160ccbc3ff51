import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError, parseConfig, toHfConfig } from "../../../src/model/config/config.ts";
import type { Mamba2Config } from "../../../src/model/mixers/mamba2.ts";
import { Random } from "../../../src/checks/random.ts";
import { assertParsesOrRefuses } from "./mutated_configs.ts";

/** The official package's file for 130m. */
const RAW_130M = {
  d_model: 768,
  d_intermediate: 0,
  n_layer: 24,
  vocab_size: 50277,
  ssm_cfg: { layer: "Mamba2" },
  attn_layer_idx: [],
  attn_cfg: {},
  rms_norm: true,
  residual_in_fp32: true,
  fused_add_norm: true,
  pad_vocab_size_multiple: 16,
  tie_embeddings: true,
};

/** The same model in the -hf form, which does not say what class it is of. */
const HF_130M = {
  model_type: "mamba2",
  bos_token_id: 0,
  chunk_size: 256,
  conv_kernel: 4,
  eos_token_id: 0,
  expand: 2,
  head_dim: 64,
  hidden_act: "silu",
  hidden_size: 768,
  layer_norm_epsilon: 1e-5,
  n_groups: 1,
  norm_before_gate: true,
  num_heads: 24,
  num_hidden_layers: 24,
  pad_token_id: 0,
  rms_norm: true,
  state_size: 128,
  tie_word_embeddings: true,
  time_step_limit: [0, Infinity],
  time_step_rank: 48,
  use_bias: false,
  use_conv_bias: true,
  vocab_size: 50288,
};

const EXPECTED_130M: Mamba2Config = {
  model_type: "mamba2",
  d_model: 768,
  n_layer: 24,
  d_inner: 1536,
  d_state: 128,
  d_conv: 4,
  nheads: 24,
  headdim: 64,
  ngroups: 1,
  dt_limit: [0, Infinity],
  rmsnorm: true,
  norm_before_gate: false,
  D_has_hdim: false,
  norm_epsilon: 1e-5,
  use_bias: false,
  use_conv_bias: true,
  input: { kind: "embedding", vocab_size: 50288 },
  head: { kind: "lm", vocab_size: 50288, tied: true },
  real_vocab_size: 50277,
  eos_token_ids: [],
};

/** Codestral Mamba's two files. */
const CODESTRAL_PARAMS = {
  dim: 4096,
  n_layers: 64,
  vocab_size: 32768,
  n_groups: 8,
  rms_norm: true,
  residual_in_fp32: true,
  fused_add_norm: true,
  pad_vocab_size_multiple: 1,
  tie_embeddings: false,
  model_type: "mamba",
};
const CODESTRAL_HF = {
  ...HF_130M,
  architectures: ["Mamba2ForCausalLM"],
  hidden_size: 4096,
  num_hidden_layers: 64,
  num_heads: 128,
  n_groups: 8,
  eos_token_id: 2,
  tie_word_embeddings: false,
  vocab_size: 32768,
};

/** The published FalconMamba, whose `expand` is wrong. */
const FALCON = {
  architectures: ["FalconMambaForCausalLM"],
  model_type: "falcon_mamba",
  bos_token_id: 0,
  conv_kernel: 4,
  eos_token_id: 11,
  expand: 16,
  hidden_act: "silu",
  hidden_size: 4096,
  intermediate_size: 8192,
  layer_norm_epsilon: 1e-5,
  num_hidden_layers: 64,
  state_size: 16,
  tie_word_embeddings: false,
  time_step_rank: 256,
  use_bias: false,
  use_conv_bias: true,
  vocab_size: 65024,
};

function parseMamba2(json: unknown): Mamba2Config {
  const config = parseConfig(json);
  assert(config.model_type === "mamba2", config.model_type);
  // The assertion of the standard library narrows nothing.
  return config as Mamba2Config;
}

function refusal(json: unknown): string {
  return assertThrows(() => parseConfig(json), ConfigError).message;
}

Deno.test("parseConfig() derives every absent field of a raw Mamba-2 config", () => {
  assertEquals(parseConfig(RAW_130M), EXPECTED_130M);
  const { d_model, n_layer, vocab_size, pad_vocab_size_multiple, ssm_cfg } = RAW_130M;
  const least = { d_model, n_layer, vocab_size, pad_vocab_size_multiple, ssm_cfg };
  assertEquals(parseConfig(least), EXPECTED_130M);
});

Deno.test("parseConfig() reads the -hf form of Mamba-2, which gates before the norm whatever it says", () => {
  const expected = { ...EXPECTED_130M, real_vocab_size: 50288, eos_token_ids: [0] };
  assertEquals(parseConfig(HF_130M), expected);
  const { model_type: _, ...unnamed } = HF_130M;
  assertEquals(parseConfig(unnamed), expected);
  assertEquals(parseConfig({ ...unnamed, architectures: ["Mamba2ForCausalLM"] }), expected);
});

Deno.test("parseConfig() fills in what transformers has for an absent field of Mamba-2", () => {
  const config = parseMamba2({
    model_type: "mamba2",
    hidden_size: 4096,
    num_hidden_layers: 64,
    vocab_size: 32768,
  });
  const { nheads, headdim, ngroups, d_state, head, eos_token_ids } = config;
  assertEquals([nheads, headdim, ngroups, d_state], [128, 64, 8, 128]);
  assertEquals(head, { kind: "lm", vocab_size: 32768, tied: false });
  assertEquals(eos_token_ids, [2]);
});

Deno.test("parseConfig() reads both files of Codestral Mamba alike", () => {
  const config = parseMamba2(CODESTRAL_PARAMS);
  assertEquals([config.nheads, config.ngroups, config.norm_before_gate], [128, 8, false]);
  assertEquals(config.eos_token_ids, [2]);
  assertEquals(config.head, { kind: "lm", vocab_size: 32768, tied: false });
  assertEquals(parseConfig(CODESTRAL_HF), config);
});

Deno.test("parseConfig() reads every setting of Mamba-2's ssm_cfg", () => {
  const config = parseMamba2({
    ...RAW_130M,
    d_model: 20,
    tie_embeddings: false,
    ssm_cfg: {
      layer: "Mamba2",
      d_state: 10,
      d_conv: 3,
      expand: 3,
      headdim: 5,
      ngroups: 4,
      d_ssm: null,
      D_has_hdim: true,
      rmsnorm: false,
      norm_before_gate: true,
      dt_limit: [0.01, 0.1],
      bias: true,
      conv_bias: false,
      chunk_size: 32,
      A_init_range: [1, 16],
      use_mem_eff_path: false,
    },
  });
  assertEquals(config, {
    ...EXPECTED_130M,
    d_model: 20,
    d_inner: 60,
    d_state: 10,
    d_conv: 3,
    nheads: 12,
    headdim: 5,
    ngroups: 4,
    dt_limit: [0.01, 0.1],
    rmsnorm: false,
    norm_before_gate: true,
    D_has_hdim: true,
    use_bias: true,
    use_conv_bias: false,
    head: { kind: "lm", vocab_size: 50288, tied: false },
  });
});

Deno.test("parseConfig() reads limits of dt in each form", () => {
  const limit = (time_step_limit: unknown) => parseMamba2({ ...HF_130M, time_step_limit }).dt_limit;
  assertEquals(limit(undefined), [0, Infinity]);
  assertEquals(limit([0.5, { __float__: "Infinity" }]), [0.5, Infinity]);
  assertEquals(limit([0, "Infinity"]), [0, Infinity]);
  assertEquals(limit([0, null]), [0, Infinity]);
  assertEquals(limit([0.001, 0.1]), [0.001, 0.1]);
  const ssm_cfg = { layer: "Mamba2", dt_limit: [0, 2] };
  const twice = { ...RAW_130M, dt_limit: [0, 1], ssm_cfg };
  assert(refusal(twice).includes('ssm_cfg.dt_limit is "0 2"'), refusal(twice));
  const infinite = [Infinity, Infinity];
  for (
    const wrong of [[], [0], [0, 1, 2], [1, 0], [-1, 1], infinite, [1e39, 1e40], ["a", 1], 3, {}]
  ) {
    const text = refusal({ ...HF_130M, time_step_limit: wrong });
    assert(text.includes("time_step_limit is "), text);
  }
});

Deno.test("parseConfig() reads FalconMamba, and believes its intermediate_size", () => {
  const config = parseConfig(FALCON);
  assertEquals(config, {
    model_type: "falcon_mamba",
    d_model: 4096,
    n_layer: 64,
    d_inner: 8192,
    d_state: 16,
    d_conv: 4,
    dt_rank: 256,
    mixer_rms_eps: 1e-6,
    norm_epsilon: 1e-5,
    use_bias: false,
    use_conv_bias: true,
    input: { kind: "embedding", vocab_size: 65024 },
    head: { kind: "lm", vocab_size: 65024, tied: false },
    real_vocab_size: 65024,
    eos_token_ids: [11],
  });
  const { model_type: _, ...unnamed } = FALCON;
  assertEquals(parseConfig(unnamed), config);
  const silent = { ...unnamed, architectures: undefined, mixer_rms_eps: 1e-3 };
  assertEquals(parseConfig(silent), { ...config, mixer_rms_eps: 1e-3 });
});

Deno.test("parseConfig() believes the expand of a Mamba-2 model of transformers, and no leftovers", () => {
  const expected = parseMamba2(HF_130M);
  const leftovers = {
    d_inner: 100,
    nheads: 3,
    headdim: 5,
    ngroups: 2,
    ssm_cfg: { layer: "Mamba1" },
  };
  assertEquals(parseMamba2({ ...HF_130M, ...leftovers }), expected);
  assertEquals(parseMamba2({ ...HF_130M, expand: 2, intermediate_size: 100 }), expected);
});

Deno.test("parseConfig() refuses what contradicts itself or is no Mamba-2", () => {
  const ssm = (settings: object) => ({ ...RAW_130M, ssm_cfg: { layer: "Mamba2", ...settings } });
  const cases: [Record<string, unknown>, string, string][] = [
    [{ ...HF_130M, num_heads: 12 }, "num_heads is 12", "768 of d_inner = 1536"],
    [{ ...HF_130M, head_dim: 63 }, "num_heads is 24", "heads of 63 channels"],
    [ssm({ headdim: 100 }), "d_inner is 1536", "headdim is 100"],
    [ssm({ ngroups: 7 }), "ssm_cfg.ngroups is 7", "24 heads"],
    [ssm({ d_ssm: 768 }), "ssm_cfg.d_ssm is 768", "d_inner = 1536"],
    [ssm({ rmsnorm: 1 }), "ssm_cfg.rmsnorm is 1", "true or false"],
    [{ ...RAW_130M, model_type: "mamba" }, 'model_type is "mamba"', 'ssm_cfg.layer is "Mamba2"'],
    [{ ...ssm({ ngroups: 2 }), n_groups: 1 }, "n_groups is 1", "ssm_cfg.ngroups is 2"],
    [{ ...RAW_130M, attn_layer_idx: [9, 18] }, "attn_layer_idx names 2", "hybrid"],
    [{ ...FALCON, mixer_rms_eps: 0 }, "mixer_rms_eps is 0", "above 0"],
  ];
  for (const [json, one, other] of cases) {
    const text = refusal(json);
    assert(text.includes(one) && text.includes(other), text);
  }
});

Deno.test("parseConfig() refuses every size of Mamba-2 that is not sane", () => {
  for (const value of [NaN, Infinity, 0, -4, 2.5, 1e300, "4", true, null, [4], {}]) {
    for (const name of ["num_heads", "head_dim", "n_groups", "state_size", "chunk_size"]) {
      const text = refusal({ ...HF_130M, [name]: value });
      assert(text.startsWith(`Cannot load config.json: ${name} is `), text);
    }
  }
  const text = refusal({ ...HF_130M, state_size: 65536, num_hidden_layers: 4096 });
  assert(text.includes("the state [n_layer, conv_dim * d_conv + d_inner * d_state]"), text);
});

Deno.test("parseConfig() reads back what toHfConfig() wrote of the other families", () => {
  const random = new Random(21);
  const integer = (min: number, max: number) => min + Math.floor(random.next() * (max - min + 1));
  for (let round = 0; round < 300; round++) {
    const [ngroups, headdim] = [integer(1, 8), integer(1, 9)];
    const nheads = ngroups * integer(1, 6);
    const low = random.next() < 0.5 ? 0 : random.next() / 10;
    const config: Mamba2Config = {
      ...EXPECTED_130M,
      d_model: integer(1, 300),
      d_inner: nheads * headdim,
      d_state: integer(1, 64),
      ...{ ngroups, headdim, nheads },
      dt_limit: [low, random.next() < 0.5 ? Infinity : low + random.next()],
      real_vocab_size: 50288,
      head: { kind: "lm", vocab_size: 50288, tied: random.next() < 0.5 },
    };
    const text = JSON.stringify(toHfConfig(config));
    assertEquals(parseConfig(JSON.parse(text)), config, text);
  }
  const falcon = parseConfig({ ...FALCON, mixer_rms_eps: 1e-3 });
  assertEquals(parseConfig(JSON.parse(JSON.stringify(toHfConfig(falcon)))), falcon);
});

Deno.test("parseConfig() gives a value or a ConfigError for any mutation of another family's config", () => {
  const texts = [RAW_130M, HF_130M, CODESTRAL_PARAMS, CODESTRAL_HF, FALCON].map((json) =>
    JSON.stringify(json)
  );
  assertParsesOrRefuses(texts, { seed: 6, rounds: 3000 });
});

Deno.test("toHfConfig() refuses what transformers does not have", () => {
  for (const name of ["norm_before_gate", "D_has_hdim"]) {
    const config = { ...EXPECTED_130M, [name]: true };
    assertThrows(() => toHfConfig(config), RangeError, "Cannot write config.json: rmsnorm is true");
  }
});
