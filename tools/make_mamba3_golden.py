"""Writes tests/golden/mamba3-siso and mamba3-mimo: small models of Mamba-3 as the published ones lie on the hub.

Run: python tools/make_mamba3_golden.py tests/golden

Each folder has config.json and a bf16 pytorch_model.bin in the form of state-spaces, the tied head stored twice; and
golden.safetensors with ids (2, T + 1), the same weights in f32, logits of the first T steps, the mean cross-entropy of the
ids that follow, and its gradients by all parameters, computed by PyTorch in float64, step by step.
"""

import json
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

VOCAB, D_MODEL, LAYERS, STEPS = 48, 32, 2, 11
COMMON = dict(layer="Mamba3", d_state=16, expand=2, headdim=16, ngroups=1, rope_fraction=0.5, dt_min=0.001,
              dt_max=0.1, dt_init_floor=1e-4, A_floor=1e-4, chunk_size=64, is_mimo=False, is_outproj_norm=False)


def make(ssm_cfg, d_intermediate, generator):
    """config.json, and weights by official name."""
    n, r = ssm_cfg["d_state"], ssm_cfg.get("mimo_rank", 1)
    inner = ssm_cfg["expand"] * D_MODEL
    heads, p = inner // ssm_cfg["headdim"], ssm_cfg["headdim"]
    width = -(-d_intermediate // 128) * 128
    angles = int(n * ssm_cfg["rope_fraction"]) // 2
    d_in_proj = 2 * inner + 2 * n * r * ssm_cfg["ngroups"] + 3 * heads + angles
    normal = lambda *shape, scale=1.0: scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
    weights = {"backbone.embedding.weight": normal(VOCAB, D_MODEL), "backbone.norm_f.weight": 1 + normal(D_MODEL, scale=0.2)}
    for i in range(LAYERS):
        own = {
            "norm.weight": 1 + normal(D_MODEL, scale=0.2),
            "norm2.weight": 1 + normal(D_MODEL, scale=0.2),
            "mixer.in_proj.weight": normal(d_in_proj, D_MODEL, scale=1.5 / D_MODEL**0.5),
            "mixer.dt_bias": -2 + normal(heads, scale=0.5),
            "mixer.B_bias": 1 + normal(heads, r, n, scale=0.3),
            "mixer.C_bias": 1 + normal(heads, r, n, scale=0.3),
            "mixer.B_norm.weight": 1 + normal(n, scale=0.2),
            "mixer.C_norm.weight": 1 + normal(n, scale=0.2),
            "mixer.D": 1 + normal(heads, scale=0.2),
            "mixer.out_proj.weight": normal(D_MODEL, inner, scale=1 / inner**0.5),
            "mlp.fc1.weight": normal(2 * width, D_MODEL, scale=1 / D_MODEL**0.5),
            "mlp.fc2.weight": normal(D_MODEL, width, scale=1 / width**0.5),
        }
        if ssm_cfg["is_mimo"]:
            own |= {f"mixer.mimo_{name}": 0.5 + normal(heads, r, p, scale=0.2) for name in "xzo"}
        weights |= {f"backbone.layers.{i}.{name}": value for name, value in own.items()}
    config = dict(d_model=D_MODEL, d_intermediate=d_intermediate, n_layer=LAYERS, vocab_size=VOCAB, ssm_cfg=ssm_cfg,
                  attn_layer_idx=[], attn_cfg={}, rms_norm=True, residual_in_fp32=True, fused_add_norm=True,
                  pad_vocab_size_multiple=16, tie_embeddings=True)
    return config, {name: value.to(torch.bfloat16) for name, value in weights.items()}


def rms(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * weight


def turn(x, theta, pairs_of_neighbors):
    """x (batch, heads, rank, n), theta (batch, heads, angles)."""
    n, j = x.shape[-1], theta.shape[-1]
    first = torch.arange(j) * 2 if pairs_of_neighbors else torch.arange(j)
    second = first + 1 if pairs_of_neighbors else first + n // 2
    cos, sin = theta.cos()[:, :, None], theta.sin()[:, :, None]
    a, b = x[..., first], x[..., second]
    out = x.clone()
    out[..., first], out[..., second] = a * cos - b * sin, a * sin + b * cos
    return out


def mixer(w, cfg, h):
    batch, steps, _ = h.shape
    n, p, r, g = cfg["d_state"], cfg["headdim"], cfg.get("mimo_rank", 1), cfg["ngroups"]
    inner = cfg["expand"] * D_MODEL
    heads = inner // p
    angles = int(n * cfg["rope_fraction"]) // 2
    z, x, B, C, dd_dt, dd_A, trap, turns = torch.split(
        h @ w("in_proj.weight").T, [inner, inner, r * g * n, r * g * n, heads, heads, heads, angles], -1)
    dt = F.softplus(dd_dt + w("dt_bias"))
    A = torch.minimum(-torch.where(dd_A >= 0, 1 + dd_A, 1 / (1 - dd_A.clamp(max=0))), torch.tensor(-cfg["A_floor"]).double())
    alpha, lam = torch.exp(A * dt), torch.sigmoid(trap)
    ones = torch.ones(heads, r, p, dtype=torch.float64)
    mimo = {name: w(f"mimo_{name}") if cfg["is_mimo"] else ones for name in "xzo"}
    theta = torch.zeros(batch, heads, angles, dtype=torch.float64)
    S = torch.zeros(batch, heads, p, n, dtype=torch.float64)
    before = torch.zeros_like(S)
    outputs = []
    for t in range(steps):
        theta = theta + torch.pi * torch.tanh(turns[:, t])[:, None] * dt[:, t, :, None]
        def heads_of(b, norm, bias):
            normed = rms(b[:, t].reshape(batch, r, g, n), w(norm)).repeat_interleave(heads // g, 2)
            return turn(normed.transpose(1, 2) + w(bias), theta, not cfg["is_mimo"])
        k, q = heads_of(B, "B_norm.weight", "B_bias"), heads_of(C, "C_norm.weight", "C_bias")
        v = x[:, t].reshape(batch, heads, 1, p) * mimo["x"]
        now = torch.einsum("bhrp,bhrn->bhpn", v, k)
        rate = lambda value: value[:, t, :, None, None]
        S = rate(alpha) * S + rate((1 - lam) * dt * alpha) * before + rate(lam * dt) * now
        before = now
        y = torch.einsum("bhpn,bhrn->bhrp", S, q) + w("D")[:, None, None] * v
        y = y * F.silu(z[:, t].reshape(batch, heads, 1, p) * mimo["z"])
        outputs.append((y * mimo["o"]).sum(2).reshape(batch, inner))
    return torch.stack(outputs, 1) @ w("out_proj.weight").T


def forward(weights, config, ids):
    x = weights["backbone.embedding.weight"][ids]
    for i in range(LAYERS):
        w = lambda name: weights[f"backbone.layers.{i}.{name}"]
        x = x + mixer(lambda name: w(f"mixer.{name}"), config["ssm_cfg"], rms(x, w("norm.weight")))
        y, gate = (rms(x, w("norm2.weight")) @ w("mlp.fc1.weight").T).chunk(2, -1)
        x = x + (y * F.silu(gate)) @ w("mlp.fc2.weight").T
    return rms(x, weights["backbone.norm_f.weight"]) @ weights["backbone.embedding.weight"].T


def main(folder):
    for name, own, d_intermediate in [("mamba3-siso", {}, 64),
                                      ("mamba3-mimo", dict(is_mimo=True, mimo_rank=4, chunk_size=16), 100)]:
        generator = torch.Generator().manual_seed(3)
        config, stored = make(COMMON | own, d_intermediate, generator)
        weights = {key: value.double().requires_grad_() for key, value in stored.items()}
        ids = torch.randint(VOCAB, (2, STEPS + 1), generator=generator)
        logits = forward(weights, config, ids[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, VOCAB), ids[:, 1:].reshape(-1))
        loss.backward()
        to = os.path.join(folder, name)
        os.makedirs(to, exist_ok=True)
        with open(os.path.join(to, "config.json"), "w") as file:
            file.write(json.dumps(config, indent=2) + "\n")
        torch.save(stored | {"lm_head.weight": stored["backbone.embedding.weight"]}, os.path.join(to, "pytorch_model.bin"))
        golden = {"ids": ids.float(), "logits": logits.detach().float(), "loss": loss.detach().float().reshape(1)}
        golden |= {f"weight.{key}": value.float().contiguous() for key, value in stored.items()}
        golden |= {f"grad.{key}": value.grad.float().contiguous() for key, value in weights.items()}
        save_file(golden, os.path.join(to, "golden.safetensors"), metadata={"torch": torch.__version__})


if __name__ == "__main__":
    main(sys.argv[1])
