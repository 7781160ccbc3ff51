"""The models of make_golden.py: their sizes, their random weights, and PyTorch's modules with them."""

import contextlib
import math
from collections import OrderedDict

import numpy as np
import torch
import torch.nn.functional as F
from transformers import (
    FalconMambaConfig,
    FalconMambaForCausalLM,
    Mamba2Config,
    Mamba2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MambaModel,
)
from transformers.models.falcon_mamba import modeling_falcon_mamba
from transformers.models.mamba import modeling_mamba
from transformers.models.mamba2 import modeling_mamba2

FAMILIES = {
    "mamba": (MambaForCausalLM, modeling_mamba),
    "falcon_mamba": (FalconMambaForCausalLM, modeling_falcon_mamba),
    "mamba2": (Mamba2ForCausalLM, modeling_mamba2),
}

NO_IDS = dict(bos_token_id=0, eos_token_id=0, pad_token_id=0)

MAMBA1 = MambaConfig(
    vocab_size=256, hidden_size=64, state_size=16, num_hidden_layers=2, conv_kernel=4, expand=2,
    time_step_rank=4, use_bias=False, use_conv_bias=True, tie_word_embeddings=True,
)
MAMBA1_ODD = MambaConfig(
    vocab_size=101, hidden_size=52, state_size=12, num_hidden_layers=2, conv_kernel=3, expand=3,
    time_step_rank=5, use_bias=True, use_conv_bias=True, tie_word_embeddings=False,
)
CLASSIFIER = MambaConfig(
    hidden_size=24, state_size=16, num_hidden_layers=2, conv_kernel=4, expand=2,
    time_step_rank=2, use_bias=False, use_conv_bias=True, tie_word_embeddings=False,
)
# As in the published 7B model `expand` is wrong, and intermediate_size says how wide a block is.
FALCON = FalconMambaConfig(
    vocab_size=120, hidden_size=32, intermediate_size=56, expand=16, state_size=12,
    num_hidden_layers=2, time_step_rank=5, conv_kernel=4, tie_word_embeddings=False,
    mixer_rms_eps=1e-3, **{**NO_IDS, "eos_token_id": 11},
)
# 40 steps are five whole chunks, 17 are not.
MAMBA2 = Mamba2Config(
    vocab_size=128, hidden_size=32, state_size=16, num_hidden_layers=2, expand=2, num_heads=4,
    head_dim=16, n_groups=1, conv_kernel=4, chunk_size=8, tie_word_embeddings=True, **NO_IDS,
)
# No size is a multiple of 4; of the dt that tokens ask for, the limits cut off some on either side.
MAMBA2_GROUPS = Mamba2Config(
    vocab_size=101, hidden_size=20, state_size=10, num_hidden_layers=2, expand=3, num_heads=12,
    head_dim=5, n_groups=4, conv_kernel=3, chunk_size=16, use_bias=True, tie_word_embeddings=False,
    time_step_limit=(0.01, 0.06), **NO_IDS,
)
# transformers ignores norm_before_gate, which the published 7B model has wrong.
CODESTRAL = Mamba2Config(
    vocab_size=96, hidden_size=32, state_size=8, num_hidden_layers=2, expand=2, num_heads=16,
    head_dim=4, n_groups=8, conv_kernel=4, chunk_size=32, tie_word_embeddings=False,
    norm_before_gate=True,
)
# What only the official package can: `ssm_cfg` says it to mamba_numpy and to build_model().
MAMBA2_OPTIONS = Mamba2Config(
    vocab_size=90, hidden_size=18, state_size=7, num_hidden_layers=2, expand=2, num_heads=6,
    head_dim=6, n_groups=2, conv_kernel=2, use_conv_bias=False, chunk_size=8,
    tie_word_embeddings=False, **NO_IDS,
)
MAMBA2_OPTIONS.ssm_cfg = {"norm_before_gate": True, "D_has_hdim": True}
MAMBA2_NO_NORM = Mamba2Config(
    vocab_size=90, hidden_size=16, state_size=8, num_hidden_layers=2, expand=2, num_heads=4,
    head_dim=8, n_groups=1, conv_kernel=4, use_bias=True, chunk_size=16,
    tie_word_embeddings=False, **NO_IDS,
)
MAMBA2_NO_NORM.ssm_cfg = {"rmsnorm": False}


# Weights ----------------------------------------------------------------------------------------


def to_f32(array):
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def inverse_softplus_dt(rng, count):
    """dt as published: log-uniform from 0.001 to 0.1."""
    dt = np.exp(rng.uniform(math.log(1e-3), math.log(1e-1), count))
    return dt + np.log(-np.expm1(-dt))


def mamba1_mixer(config, rng, normal, linear):
    d_model, d_inner = config.hidden_size, config.intermediate_size
    d_state, dt_rank = config.state_size, config.time_step_rank
    w = OrderedDict()
    w["A_log"] = np.log(np.arange(1, d_state + 1)) + rng.uniform(-0.3, 0.3, (d_inner, d_state))
    w["D"] = rng.uniform(0.2, 1.0, d_inner)
    w["in_proj.weight"] = linear(2 * d_inner, d_model, 1.5)
    w["conv1d.weight"] = normal(d_inner, 1, config.conv_kernel, std=0.6)
    w["conv1d.bias"] = normal(d_inner, std=0.3)
    x_proj = linear(dt_rank + 2 * d_state, d_inner, 1.5)
    x_proj[dt_rank:] *= 2  # B and C: the state's share of y is then about as large as D's
    w["x_proj.weight"] = x_proj
    w["dt_proj.weight"] = rng.uniform(-1, 1, (d_inner, dt_rank)) * dt_rank**-0.5
    w["dt_proj.bias"] = inverse_softplus_dt(rng, d_inner)
    # Large against the embedding, or a tied head would mostly repeat the token it was given.
    w["out_proj.weight"] = linear(d_model, d_inner, 0.3)
    return w, d_inner * 2


def mamba2_mixer(config, rng, normal, linear):
    d_model, nheads = config.hidden_size, config.num_heads
    d_inner = nheads * config.head_dim
    conv_dim = d_inner + 2 * config.n_groups * config.state_size
    ssm_cfg = getattr(config, "ssm_cfg", {})
    w = OrderedDict()
    w["A_log"] = np.log(rng.uniform(1, 16, nheads))
    w["D"] = rng.uniform(0.2, 1.0, d_inner if ssm_cfg.get("D_has_hdim") else nheads)
    w["dt_bias"] = inverse_softplus_dt(rng, nheads)
    w["in_proj.weight"] = linear(d_inner + conv_dim + nheads, d_model, 1.5)
    w["conv1d.weight"] = normal(conv_dim, 1, config.conv_kernel, std=0.8)
    if config.use_conv_bias:
        w["conv1d.bias"] = normal(conv_dim, std=0.3)
    if ssm_cfg.get("rmsnorm", True):
        w["norm.weight"] = rng.uniform(0.5, 1.5, d_inner)
    w["out_proj.weight"] = linear(d_model, d_inner, 1.2)
    return w, d_inner + conv_dim + nheads


def make_weights(config, rng, linear_input=None, n_classes=None):
    """Tensors by official name, in f32: dt as published, the rest livelier, so that all shows."""
    d_model = config.hidden_size
    normal = lambda *shape, std: rng.normal(0, std, shape)
    linear = lambda o, i, gain=1.0: normal(o, i, std=gain / math.sqrt(i))
    w = OrderedDict()
    if linear_input is None:
        w["backbone.embeddings.weight"] = normal(config.vocab_size, d_model, std=0.5)
    else:
        w["backbone.input_proj.weight"] = linear(d_model, linear_input)
        w["backbone.input_proj.bias"] = normal(d_model, std=0.3)
    make_mixer = mamba2_mixer if config.model_type == "mamba2" else mamba1_mixer
    for i in range(config.num_hidden_layers):
        p = f"backbone.layers.{i}."
        mixer, projected = make_mixer(config, rng, normal, linear)
        w.update((f"{p}mixer.{name}", tensor) for name, tensor in mixer.items())
        w[p + "norm.weight"] = rng.uniform(0.5, 1.5, d_model)
        if config.use_bias:
            w[p + "mixer.in_proj.bias"] = normal(projected, std=0.3)
            w[p + "mixer.out_proj.bias"] = normal(d_model, std=0.3)
    w["backbone.norm_f.weight"] = rng.uniform(0.5, 1.5, d_model)
    if n_classes is not None:
        w["classifier.weight"] = linear(n_classes, d_model, 3.0)
        w["classifier.bias"] = normal(n_classes, std=0.3)
    elif not config.tie_word_embeddings:
        w["lm_head.weight"] = linear(config.vocab_size, d_model, 3.0)
    return OrderedDict((k, to_f32(v)) for k, v in w.items())


# PyTorch's modules ------------------------------------------------------------------------------


@contextlib.contextmanager
def float64_transformers(config):
    """Makes the casts to float32 inside the model casts to float64, so that .double() means it."""

    class Float64Torch:
        float32 = torch.float64

        def __getattr__(self, name):
            return getattr(torch, name)

    _, modeling = FAMILIES[config.model_type]
    to_float = torch.Tensor.float
    modeling.torch, torch.Tensor.float = Float64Torch(), torch.Tensor.double
    try:
        yield
    finally:
        modeling.torch, torch.Tensor.float = torch, to_float


class OfficialGatedNorm(torch.nn.Module):
    """RMSNormGated of the official package, with the choices that transformers does not have."""

    def __init__(self, norm, ssm_cfg):
        super().__init__()
        self.group_size, self.eps = norm.group_size, norm.variance_epsilon
        self.after = ssm_cfg.get("norm_before_gate", False)
        self.weight = norm.weight if ssm_cfg.get("rmsnorm", True) else None

    def forward(self, y, gate):
        gate = F.silu(gate)
        if self.weight is None:
            return y * gate
        grouped = (y if self.after else y * gate).unflatten(-1, (-1, self.group_size))
        normed = F.rms_norm(grouped, (self.group_size,), eps=self.eps).flatten(-2) * self.weight
        return normed * gate if self.after else normed


@contextlib.contextmanager
def official_options(config):
    """D for each channel, which transformers has for each head."""
    if not getattr(config, "ssm_cfg", {}).get("D_has_hdim"):
        yield
        return
    scan = modeling_mamba2.mamba2_chunk_scan

    def scan_with_D(x, *args, D, return_final_states, **kwargs):
        scanned = scan(x, *args, D=None, return_final_states=return_final_states, **kwargs)
        skip = D.view(x.shape[-2:]) * x
        return (scanned[0] + skip, scanned[1]) if return_final_states else scanned + skip

    modeling_mamba2.mamba2_chunk_scan = scan_with_D
    try:
        yield
    finally:
        modeling_mamba2.mamba2_chunk_scan = scan


def build_model(config, weights, dtype):
    """The language model in evaluation mode."""
    model_class, _ = FAMILIES[config.model_type]
    model = model_class(config)
    ssm_cfg = getattr(config, "ssm_cfg", {})
    if ssm_cfg:
        for layer in model.backbone.layers:
            layer.mixer.norm = OfficialGatedNorm(layer.mixer.norm, ssm_cfg)
            if ssm_cfg.get("D_has_hdim"):
                layer.mixer.D = torch.nn.Parameter(torch.ones(layer.mixer.intermediate_size))
    tied = {"lm_head.weight": weights["backbone.embeddings.weight"]}
    model.load_state_dict({**tied, **weights})
    return model.to(dtype).eval()


def build_backbone(config, weights, dtype):
    """The blocks and norm_f of a classifier, for inputs that are embedded already."""
    model = MambaModel(MambaConfig(**{**config.to_dict(), "vocab_size": 1}))
    tensors = {k.removeprefix("backbone."): v for k, v in weights.items() if "backbone." in k}
    unused = {"embeddings.weight": torch.zeros(1, config.hidden_size)}
    model.load_state_dict({k: v for k, v in {**unused, **tensors}.items() if "input_proj" not in k})
    return model.to(dtype).eval()
