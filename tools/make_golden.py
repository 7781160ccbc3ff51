"""Writes tests/golden: small checkpoints of each family, and what PyTorch computes with them.

    python tools/make_golden.py            writes tests/golden
    python tools/make_golden.py --check    makes them again elsewhere and compares

Needs torch, transformers, safetensors, tokenizers and numpy, whose versions are stored in each
expected.safetensors. No test runs Python.

Each language model's folder has ids.json (one sequence), ids_batch.json (two), greedy.json (24 ids
after ids.json) and expected.safetensors (f32, from a float64 run on the weights as stored):

    logits [T, vocab_size]          logits_batch [2, 17, vocab_size]
    layers.N.output [T, d_model]    the residual stream after block N
    norm_f.output [T, d_model]
    layers.N.conv_state [d_inner, d_conv]    layers.N.ssm_state [d_inner, d_state]    after ids.json
    (Mamba-2: [d_inner + 2 ngroups d_state, d_conv] and [nheads, headdim, d_state])

A classifier's expected.safetensors has inputs [T, d_input] and inputs_batch instead of ids, and its
logits are those after each step. sampling/cases.json: distributions after the sampling filters.
golden_tokenizers.py says what tokenizers holds, golden_training.py what gradients.safetensors and
losses.json hold.
"""

import argparse
import contextlib
import functools
import json
import os
import shutil
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import safetensors
import tokenizers
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file

import golden_tokenizers
import golden_training
import mamba_numpy
from golden_models import (
    CLASSIFIER,
    CODESTRAL,
    FALCON,
    FAMILIES,
    MAMBA1,
    MAMBA1_ODD,
    MAMBA2,
    MAMBA2_GROUPS,
    MAMBA2_NO_NORM,
    MAMBA2_OPTIONS,
    build_backbone,
    build_model,
    float64_transformers,
    make_weights,
    official_options,
    to_f32,
)

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
SEEDS = {
    "mamba1": 2, "mamba1-odd": 7, "classifier": 3, "sampling": 4, "falcon-mamba": 1, "mamba2": 20,
    "mamba2-groups": 2, "mamba2-options": 1, "mamba2-no-norm": 1, "codestral": 3,
}
# A smaller gap between the best and the second logit would let an f32 engine disagree by rounding.
MIN_MARGIN = 1e-3
STEPS, BATCH, BATCH_STEPS, GREEDY = 40, 2, 17, 24

ODD_SSM_CFG = dict(d_state=12, d_conv=3, expand=3, dt_rank=5, bias=True, conv_bias=True)
# The raw form pads the vocabulary: there are rows that no token has.
RAW_VOCAB_SIZE = {"mamba1": 253, "mamba2": 125}

SAMPLING_PROCESSORS = {
    "repetitionPenalty": transformers.RepetitionPenaltyLogitsProcessor,
    "temperature": transformers.TemperatureLogitsWarper,
    "topK": transformers.TopKLogitsWarper,
    "topP": transformers.TopPLogitsWarper,
    "minP": transformers.MinPLogitsWarper,
}


# Runs -------------------------------------------------------------------------------------------


@torch.no_grad()
def run_transformers(config, weights, inputs, dtype, pool=None):
    """PyTorch's logits, residual stream after each block, output of norm_f, and states."""
    inputs = torch.as_tensor(inputs)
    layers = []
    in_float64 = dtype == torch.float64
    with (
        float64_transformers(config) if in_float64 else contextlib.nullcontext(),
        official_options(config),
    ):
        if pool is None:
            model = build_model(config, weights, dtype)
            backbone, embedded = model.backbone, model.backbone.embeddings(inputs)
        else:
            w = {k: v.to(dtype) for k, v in weights.items()}
            backbone = build_backbone(config, weights, dtype)
            embedded = F.linear(
                inputs.to(dtype), w["backbone.input_proj.weight"], w["backbone.input_proj.bias"]
            )
        for layer in backbone.layers:
            layer.register_forward_hook(lambda module, args, output: layers.append(output))
        output = backbone(inputs_embeds=embedded, use_cache=True)
        hidden = output.last_hidden_state
        if pool is None:
            logits = model.lm_head(hidden)
        else:
            steps = torch.arange(1, hidden.shape[1] + 1)[:, None]
            pooled = hidden if pool == "last" else hidden.cumsum(1) / steps
            logits = F.linear(pooled, w["classifier.weight"], w["classifier.bias"])
    cache = output.cache_params
    states = [
        {
            "conv_state": cache.get_conv_state(i, state_idx=0),
            "ssm_state": cache.get_recurrent_state(i, state_idx=0),
        }
        for i in range(config.num_hidden_layers)
    ]
    return logits, layers, hidden, states


def run_numpy(config, weights, inputs, pool=None, states=None):
    """The same by mamba_numpy, always in float64."""
    w = {k.removeprefix("backbone."): v.double().numpy() for k, v in weights.items()}
    if "input_proj.weight" in w:
        x = inputs.astype(np.float64) @ w["input_proj.weight"].T + w["input_proj.bias"]
    else:
        x = w["embeddings.weight"][inputs]
    states = states if states is not None else mamba_numpy.zero_state(w, len(inputs), config)
    layers, norm_f = mamba_numpy.backbone(w, x, states, config)
    if pool is None:
        logits = norm_f @ w.get("lm_head.weight", w.get("embeddings.weight")).T
    else:
        pooled = norm_f
        if pool == "mean":
            pooled = norm_f.cumsum(1) / np.arange(1, norm_f.shape[1] + 1)[:, None]
        logits = pooled @ w["classifier.weight"].T + w["classifier.bias"]
    return logits, layers, norm_f, states


def greedy(config, weights, ids):
    """GREEDY ids after `ids`, and the logits that chose them."""
    logits, _, _, states = run_numpy(config, weights, np.array([ids]))
    chosen, rows = [], []
    while len(chosen) < GREEDY:
        rows.append(logits[0, -1])
        chosen.append(int(rows[-1].argmax()))
        last = np.array([chosen[-1:]])
        logits, _, _, states = run_numpy(config, weights, last, states=states)
    return chosen, np.array(rows)


def margin(logits):
    ordered = np.sort(logits, -1)
    return float((ordered[..., -1] - ordered[..., -2]).min())


def distance(name, actual, expected, limit):
    """max |actual - expected|, which must be within `limit` of the largest expected value."""
    worst = float(np.abs(np.asarray(actual, np.float64) - np.asarray(expected)).max())
    assert worst <= limit * np.abs(expected).max(), f"{name} differs by {worst}"
    return worst


def continued_by_transformers(config, weights, ids):
    """The same ids by generate()."""
    prompt = torch.as_tensor(ids)[None]
    model = build_model(config, weights, torch.float32)
    # transformers' single step of Mamba-2 has none of these; its whole sequence has.
    has_step = not hasattr(config, "ssm_cfg") and not is_limited(config)
    with official_options(config):
        continued = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=GREEDY,
            do_sample=False,
            use_cache=has_step,
        )
    return continued[0, len(ids) :].tolist()


def is_limited(config):
    return list(getattr(config, "time_step_limit", [])) not in ([], [0.0, float("inf")])


def expect(folder, config, weights, inputs, inputs_batch, seed, pool=None):
    """Runs the weights in float64 twice, in float32 once, and writes expected.safetensors."""
    runs = [inputs[None], inputs_batch]
    results = [run_numpy(config, weights, run, pool) for run in runs]
    far = {"float64": 0.0, "float32": 0.0}
    for run, (logits, layers, norm_f, states) in zip(runs, results):
        for dtype, limit in [(torch.float64, 1e-12), (torch.float32, 1e-5)]:
            name = str(dtype).removeprefix("torch.")
            theirs = run_transformers(config, weights, run, dtype, pool)
            pairs = [("logits", theirs[0], logits), ("norm_f", theirs[2], norm_f)]
            pairs += [("layer", a, b) for a, b in zip(theirs[1], layers, strict=True)]
            pairs += [(k, t[k], s[k]) for t, s in zip(theirs[3], states) for k in s]
            for what, actual, expected in pairs:
                assert actual.dtype == dtype, f"{what} is {actual.dtype} in a run in {dtype}"
                worst = distance(f"{folder.name}: {what} in {name}", actual, expected, limit)
                far[name] = max(far[name], worst)
    (logits, layers, norm_f, states), (logits_batch, *_) = results
    margins = [margin(logits), margin(logits_batch)]
    if pool is None:
        ids, rows = greedy(config, weights, inputs.tolist())
        margins.append(margin(rows))
        assert len(set(ids)) >= GREEDY / 2, f"{folder.name}: greedy ids hardly vary: {ids}"
        limit = RAW_VOCAB_SIZE.get(folder.name.split("-")[0], config.vocab_size)
        usable = not {0, config.eos_token_id} & set(ids) and max(ids) < limit
        assert usable, f"{folder.name}: greedy stops or pads: {ids}"
        continued = continued_by_transformers(config, weights, inputs.tolist())
        assert continued == ids, f"{folder.name}: generate() gives {continued}, not {ids}"
        write_json(folder / "ids.json", inputs.tolist())
        write_json(folder / "ids_batch.json", inputs_batch.tolist())
        write_json(folder / "greedy.json", ids)
    assert min(margins) > MIN_MARGIN, f"{folder.name}: near-tie, {margins}: take another seed"

    tensors = OrderedDict(logits=logits[0], logits_batch=logits_batch)
    for i, (layer, state) in enumerate(zip(layers, states)):
        tensors[f"layers.{i}.output"] = layer[0]
        tensors[f"layers.{i}.conv_state"] = state["conv_state"][0]
        tensors[f"layers.{i}.ssm_state"] = state["ssm_state"][0]
    tensors["norm_f.output"] = norm_f[0]
    if pool is not None:
        tensors["inputs"], tensors["inputs_batch"] = inputs, inputs_batch
    metadata = about(
        seed,
        min_top1_margin=min(margins),
        largest_logit=float(np.abs(logits).max()),
        transformers_max_abs_difference=far,
    )
    # One key: safetensors does not promise the order of several.
    save_file(
        {k: to_f32(v) for k, v in tensors.items()},
        folder / "expected.safetensors",
        {"golden": json.dumps(metadata)},
    )
    print(f"{folder.name:20} margin {min(margins):.4f}  transformers differs by {far}")


def load_for_training(config, weights, inputs, targets, pool):
    """Parameters in float64 by official name, and the function that computes the loss with them."""
    inputs = torch.as_tensor(inputs)
    if pool is None:
        model = build_model(config, weights, torch.float64)
        backbone, parameters = model.backbone, dict(model.named_parameters())
    else:
        backbone = build_backbone(config, weights, torch.float64)
        parameters = {f"backbone.{name}": p for name, p in backbone.named_parameters()}
        del parameters["backbone.embeddings.weight"]
        for name, weight in weights.items():
            parameters.setdefault(name, weight.double().requires_grad_())
    assert parameters.keys() == weights.keys()

    def loss():
        with float64_transformers(config), official_options(config):
            if pool is None:
                logits = model(inputs, use_cache=False).logits[:, :-1]
            else:
                p = parameters
                embedded = F.linear(
                    inputs.double(), p["backbone.input_proj.weight"], p["backbone.input_proj.bias"]
                )
                hidden = backbone(inputs_embeds=embedded, use_cache=False).last_hidden_state
                pooled = hidden[:, -1] if pool == "last" else hidden.mean(1)
                logits = F.linear(pooled, p["classifier.weight"], p["classifier.bias"])
        return golden_training.mean_cross_entropy(logits, targets)

    return parameters, loss


def expect_training(folder, config, weights, inputs, seed, pool=None):
    """gradients.safetensors and losses.json of `inputs`, a batch."""
    targets = inputs[:, 1:].tolist() if pool is None else golden_training.LABELS

    def numpy_loss(moved):
        logits, *_ = run_numpy(config, moved, inputs, pool)
        used = logits[:, :-1] if pool is None else logits[:, -1]
        return golden_training.mean_cross_entropy(torch.from_numpy(used), targets).item()

    golden_training.expect_training(
        folder,
        lambda: load_for_training(config, weights, inputs, targets, pool),
        targets,
        numpy_loss,
        functools.partial(about, seed),
    )


def about(seed, **measured):
    return {
        "made_by": "tools/make_golden.py",
        "seed": seed,
        "computed_in": "float64, stored as float32",
        **measured,
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, np, safetensors)},
    }


# Files ------------------------------------------------------------------------------------------


def write_json(path, value, indent=None):
    path.write_text(json.dumps(value, indent=indent) + "\n")


def round_to(weights, dtype):
    return OrderedDict((k, v.to(dtype).float()) for k, v in weights.items())


def write_hf(folder, config, weights, dtype, max_shard_size="1GB"):
    """As save_pretrained() does, then read back with from_pretrained()."""
    build_model(config, weights, dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    (folder / "generation_config.json").unlink()
    model_class, _ = FAMILIES[config.model_type]
    loaded, report = model_class.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), f"{folder.name}: {report}"
    state = loaded.state_dict()
    assert all(torch.equal(state[k], v.to(dtype)) for k, v in weights.items())


def write_raw(folder, config, weights, raw_config, dtype=torch.float32):
    """As mamba_ssm's save_pretrained(): singular `embedding`, the head present, shared if tied."""
    raw = raw_names(weights, dtype)
    folder.mkdir()
    write_json(folder / "config.json", raw_fields(config, raw_config), indent=4)
    # Module.state_dict() leaves its versions in an attribute: real files carry it as object state.
    raw._metadata = OrderedDict([("", {"version": 1}), ("backbone", {"version": 1})])
    torch.save(raw, folder / "pytorch_model.bin")
    read = torch.load(folder / "pytorch_model.bin")
    assert all(torch.equal(read[name], tensor) for name, tensor in raw.items())


def write_raw_safetensors(folder, config, weights, raw_config):
    """The same as the official repositories have it at refs/pr/1."""
    folder.mkdir()
    write_json(folder / "config.json", raw_fields(config, raw_config), indent=4)
    save_file(raw_names(weights, torch.float32), folder / "model.safetensors")


def raw_fields(config, raw_config):
    return {
        "d_model": config.hidden_size,
        "n_layer": config.num_hidden_layers,
        "rms_norm": True,
        "residual_in_fp32": True,
        "fused_add_norm": True,
        **raw_config,
        **({} if config.tie_word_embeddings else {"tie_embeddings": False}),
    }


def raw_names(weights, dtype):
    raw = OrderedDict((k.replace(".embeddings.", ".embedding."), v) for k, v in weights.items())
    raw = OrderedDict((k, v.to(dtype)) for k, v in raw.items())
    raw.setdefault("lm_head.weight", raw["backbone.embedding.weight"])
    return raw


def mamba2_raw_config(config, vocab_size, multiple, **options):
    """As the official package writes it; what has its default value need not be there."""
    return {
        "d_intermediate": 0,
        "vocab_size": vocab_size,
        "ssm_cfg": {
            "layer": "Mamba2",
            "d_state": config.state_size,
            "headdim": config.head_dim,
            **({"ngroups": config.n_groups} if config.n_groups > 1 else {}),
            **({"d_conv": config.conv_kernel} if config.conv_kernel != 4 else {}),
            **({"bias": True} if config.use_bias else {}),
            **({} if config.use_conv_bias else {"conv_bias": False}),
            **getattr(config, "ssm_cfg", {}),
            **options,
        },
        "attn_layer_idx": [],
        "attn_cfg": {},
        "pad_vocab_size_multiple": multiple,
        "tie_embeddings": config.tie_word_embeddings,
    }


def write_codestral(folder, config, weights, dtype):
    """As the published 7B model: one consolidated file, whose names have a prefix, and two configs."""
    folder.mkdir()
    tensors = {f"model.{name}": tensor for name, tensor in raw_names(weights, dtype).items()}
    save_file(tensors, folder / "consolidated.safetensors")
    fields = {**config.to_diff_dict(), "architectures": ["Mamba2ForCausalLM"], "dtype": "bfloat16"}
    fields["time_step_limit"] = [0.0, float("inf")]
    write_json(folder / "config.json", fields, indent=2)
    params = {
        "dim": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "n_groups": config.n_groups,
        "vocab_size": config.vocab_size,
        "rms_norm": True,
        "residual_in_fp32": True,
        "fused_add_norm": True,
        "pad_vocab_size_multiple": 1,
        "tie_embeddings": False,
        "model_type": "mamba",
    }
    write_json(folder / "params.json", params, indent=4)


def write_classifier(folder, config, weights, pool):
    folder.mkdir()
    save_file(dict(weights), folder / "model.safetensors", {"format": "pt"})
    fields = {k: v for k, v in config.to_diff_dict().items() if not k.endswith("_token_id")}
    fields = {k: v for k, v in fields.items() if k not in ("vocab_size", "dtype")}
    fields["architectures"] = ["SlitherForSequenceClassification"]
    fields["input"] = {"kind": "linear", "d_input": 3, "bias": True}
    fields["head"] = {"kind": "classifier", "n_classes": 5, "pool": pool, "bias": True}
    fields["labels"] = ["rest", "walk", "run", "jump", "fall"]
    write_json(folder / "config.json", fields, indent=2)


def write_tokenizer(path):
    """256 tokens, one a byte, the id being the byte: any text is tokenized, nothing is merged."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    symbol = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE({symbol[b]: b for b in range(256)}, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.save(str(path))
    text = "Ssss: slither, ünïcödé \u86c7 \U0001f40d\n\t  end"
    ids = tokenizers.Tokenizer.from_file(str(path)).encode(text).ids
    assert ids == list(text.encode()) and tokenizer.decode(ids) == text


def write_sampling(folder, seed):
    """What the filters of `transformers`, in the order of generate(), leave of random logits."""
    rng = np.random.default_rng(seed)
    settings = [
        {},
        {"temperature": 0.7},
        {"topK": 5},
        {"topP": 0.8},
        {"minP": 0.1},
        {"repetitionPenalty": 1.3},
        {"temperature": 1.5, "topK": 12, "topP": 0.9, "minP": 0.05, "repetitionPenalty": 1.2},
        {"temperature": 0.5, "topK": 20, "topP": 0.6, "repetitionPenalty": 0.8},
        {"temperature": 2.0, "topP": 0.99, "minP": 0.2, "repetitionPenalty": 2.0},
    ]
    cases = []
    for case in settings:
        logits, seen = to_f32(rng.normal(0, 2, 32)), torch.as_tensor(rng.integers(0, 32, 10))
        processors = transformers.LogitsProcessorList()
        for key, processor in SAMPLING_PROCESSORS.items():
            if key in case:
                processors.append(processor(case[key]))
        scores = processors(seen[None], logits.double()[None])
        cases.append({
            "settings": case,
            "logits": logits.tolist(),
            "seen": seen.tolist(),
            "probabilities": scores.softmax(-1)[0].tolist(),
        })
    folder.mkdir()
    write_json(folder / "cases.json", cases)


def make_inputs(config, name):
    """Weights, a sequence and a batch, from the seed of that name."""
    rng = np.random.default_rng(SEEDS[name])
    weights = make_weights(config, rng)
    limit = min(config.vocab_size, RAW_VOCAB_SIZE.get(name, config.vocab_size))
    return (
        weights,
        rng.integers(1, limit, STEPS),
        rng.integers(1, limit, (BATCH, BATCH_STEPS)),
    )


def make_falcon(root):
    name, dtype = "falcon-mamba", torch.bfloat16
    weights, *data = make_inputs(FALCON, name)
    write_hf(root / name, FALCON, weights, dtype)
    rounded = round_to(weights, dtype)
    expect(root / name, FALCON, rounded, *data, SEEDS[name])
    expect_training(root / name, FALCON, rounded, data[1], SEEDS[name])


def make_mamba2(root):
    for name, config in [("mamba2", MAMBA2), ("mamba2-groups", MAMBA2_GROUPS)]:
        weights, *data = make_inputs(config, name)
        write_hf(root / name, config, weights, torch.float32)
        expect(root / name, config, weights, *data, SEEDS[name])
        expect_training(root / name, config, weights, data[1], SEEDS[name])
        if name == "mamba2":
            raw_config = mamba2_raw_config(config, RAW_VOCAB_SIZE[name], 16)
            write_raw(root / "mamba2-raw", config, weights, raw_config, torch.float16)
            rounded = round_to(weights, torch.float16)
            expect(root / "mamba2-raw", config, rounded, *data, SEEDS[name])
    for name, config in [("mamba2-options", MAMBA2_OPTIONS), ("mamba2-no-norm", MAMBA2_NO_NORM)]:
        weights, *data = make_inputs(config, name)
        raw_config = mamba2_raw_config(config, config.vocab_size, 1, chunk_size=16)
        write_raw_safetensors(root / name, config, weights, raw_config)
        expect(root / name, config, weights, *data, SEEDS[name])
        if name == "mamba2-options":
            expect_training(root / name, config, weights, data[1], SEEDS[name])
    name, dtype = "codestral", torch.bfloat16
    weights, *data = make_inputs(CODESTRAL, name)
    write_codestral(root / name, CODESTRAL, weights, dtype)
    expect(root / name, CODESTRAL, round_to(weights, dtype), *data, SEEDS[name])


def make(root):
    """Everything, into the folder `root`."""
    torch.set_num_threads(1)  # the order of sums, and so the last bits, must not depend on cores
    for name, config in [("mamba1", MAMBA1), ("mamba1-odd", MAMBA1_ODD)]:
        seed = SEEDS[name]
        weights, *data = make_inputs(config, name)
        stored = {"": torch.float32, "-f16": torch.float16, "-bf16": torch.bfloat16}
        for suffix, dtype in stored.items():
            write_hf(root / (name + suffix), config, weights, dtype)
            expect(root / (name + suffix), config, round_to(weights, dtype), *data, seed)
        expect_training(root / name, config, weights, data[1], seed)
        raw_config = {"ssm_cfg": ODD_SSM_CFG, "vocab_size": config.vocab_size}
        raw_config["pad_vocab_size_multiple"] = 1
        if name == "mamba1":
            raw_config = {"ssm_cfg": {}, "vocab_size": RAW_VOCAB_SIZE[name]}
            raw_config["pad_vocab_size_multiple"] = 8
        write_raw(root / f"{name}-raw", config, weights, raw_config)
        expect(root / f"{name}-raw", config, weights, *data, seed)
        if name == "mamba1":
            sharded = root / "mamba1-sharded"
            write_hf(sharded, config, weights, torch.float32, max_shard_size="190KB")
            assert len(list(sharded.glob("model-*.safetensors"))) == 2
            expect(sharded, config, weights, *data, seed)
    write_tokenizer(root / "mamba1" / "tokenizer.json")

    make_falcon(root)
    make_mamba2(root)

    seed, config = SEEDS["classifier"], CLASSIFIER
    rng = np.random.default_rng(seed)
    weights = make_weights(config, rng, linear_input=3, n_classes=5)
    shapes = [(STEPS, 3), (BATCH, BATCH_STEPS, 3)]
    data = [rng.normal(0, 1, shape).astype(np.float32) for shape in shapes]
    for name, pool in [("classifier", "mean"), ("classifier-last", "last")]:
        write_classifier(root / name, config, weights, pool)
        expect(root / name, config, weights, *data, seed, pool)
        expect_training(root / name, config, weights, data[1], seed, pool)
    write_sampling(root / "sampling", SEEDS["sampling"])
    golden_tokenizers.write(root / "tokenizers")


def compare(made, committed):
    """Files by bytes; where bytes differ, tensors by value: versions differ in headers."""
    made_names, committed_names = (
        {p.relative_to(root) for p in root.rglob("*") if p.is_file()} for root in (made, committed)
    )
    assert made_names == committed_names, f"other files: {made_names ^ committed_names}"
    for name in sorted(made_names):
        a, b = made / name, committed / name
        if a.read_bytes() == b.read_bytes():
            continue
        print(f"{name}: other bytes")
        if name.name == "losses.json":
            golden_training.compare_losses(*(json.loads(p.read_text()) for p in (a, b)))
            continue
        if name.suffix == ".json":
            same = [{**json.loads(p.read_text()), "transformers_version": ""} for p in (a, b)]
            assert name.name == "config.json" and same[0] == same[1], f"{name} differs"
            continue
        load = load_file if name.suffix == ".safetensors" else torch.load
        x, y = load(a), load(b)
        assert x.keys() == y.keys(), f"{name} holds other tensors"
        for key in x:
            where = f"{name}: {key}"
            torch.testing.assert_close(x[key], y[key], rtol=1e-5, atol=1e-5, msg=where)
    print(f"{len(made_names)} files as committed")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare instead of write")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        make(made)
        if args.check:
            return compare(made, GOLDEN)
        for path in made.iterdir():
            shutil.rmtree(GOLDEN / path.name, ignore_errors=True)
            shutil.copytree(path, GOLDEN / path.name)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
