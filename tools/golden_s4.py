"""Small models of S4D and S4 with what PyTorch makes of them, for tests/train/s4_test.ts.

    python tools/golden_s4.py tests/golden

Writes s4d/ and s4/ there: config.json, model.safetensors, gradients.safetensors (`inputs`, `loss`, and the
gradient of every parameter), and losses.json (`targets`, `settings`, and the losses before each of ten steps
of torch.optim.AdamW). All is computed in float64 and stored in float32. Needs torch and safetensors.

The layer is written from the papers, with all states and none of the shortcuts of the package: S4D (Gu et al.
2022) is discretised by zero-order hold, S4 (Gu, Goel & Re 2022) by solving the bilinear transform of the whole
matrix; both go step by step.
"""

import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

D_MODEL, D_STATE, N_LAYER, D_INPUT, CLASSES = 6, 8, 2, 2, 4
# More than two chunks of either executor, and a part of one.
BATCH, SEQLEN, STEPS, EPS = 2, 150, 10, 1e-5
SLOW = ("A_re", "A_im", "Lambda_re", "Lambda_im", "P", "B", "log_step")
SETTINGS = {"lr": 1e-2, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1}


def config(kind):
    return {
        "model_type": kind,
        "hidden_size": D_MODEL,
        "num_hidden_layers": N_LAYER,
        "state_size": D_STATE,
        "layer_norm_epsilon": EPS,
        "input": {"kind": "linear", "d_input": D_INPUT, "bias": True},
        "head": {"kind": "classifier", "n_classes": CLASSES, "pool": "last", "bias": True},
    }


def new_weights(kind, generator):
    def normal(*shape, scale=1.0):
        return torch.randn(*shape, generator=generator) * scale

    pairs = D_STATE // 2
    weights = {
        "backbone.input_proj.weight": normal(D_MODEL, D_INPUT),
        "backbone.input_proj.bias": normal(D_MODEL, scale=0.1),
        "backbone.norm_f.weight": 1 + normal(D_MODEL, scale=0.1),
        "classifier.weight": normal(CLASSES, D_MODEL, scale=0.4),
        "classifier.bias": normal(CLASSES, scale=0.1),
    }
    rates = torch.arange(pairs)[:, None] * math.pi + 0.3 * torch.rand(pairs, D_MODEL, generator=generator)
    for layer in range(N_LAYER):
        own = {
            "C": normal(pairs, 2, D_MODEL, scale=0.7),
            "D": normal(D_MODEL),
            "log_step": math.log(1e-2) + 2 * torch.rand(D_MODEL, generator=generator),
            "out.weight": normal(2 * D_MODEL, D_MODEL, scale=0.4),
            "out.bias": normal(2 * D_MODEL, scale=0.1),
        }
        real = -0.5 + 0.1 * normal(pairs, D_MODEL)
        if kind == "s4d":
            own |= {"A_re": real, "A_im": rates}
        else:
            own |= {"Lambda_re": real, "Lambda_im": rates}
            own |= {"P": normal(pairs, 2, D_MODEL, scale=0.8), "B": normal(pairs, 2, D_MODEL)}
        prefix = f"backbone.layers.{layer}."
        weights[prefix + "norm.weight"] = 1 + normal(D_MODEL, scale=0.1)
        weights |= {f"{prefix}mixer.{name}": value for name, value in own.items()}
    return {name: value.float().double() for name, value in weights.items()}


def whole(tensor):
    """(pairs, 2, d_model) of both parts to (d_model, d_state) of each state and then its conjugate."""
    values = torch.complex(tensor[:, 0], tensor[:, 1]).T
    return torch.cat([values, values.conj()], dim=1)


def discretised(kind, own):
    """Of each channel the matrix of one step (d_model, d_state, d_state), and what an input adds."""
    step = own["log_step"].exp()
    if kind == "s4d":
        A = whole(torch.stack([own["A_re"].clamp(max=-1e-4), own["A_im"]], 1))
        decay = (step[:, None] * A).exp()
        return torch.diag_embed(decay), (decay - 1) / A
    rates = whole(torch.stack([own["Lambda_re"].clamp(max=-1e-4), own["Lambda_im"]], 1))
    P, B = whole(own["P"]), whole(own["B"])
    A = torch.diag_embed(rates) - P[:, :, None] * P.conj()[:, None, :]
    one = torch.eye(D_STATE, dtype=A.dtype)
    half = step[:, None, None] / 2 * A
    left = one - half
    return torch.linalg.solve(left, one + half), torch.linalg.solve(left, step[:, None] * B)


def layer_output(kind, own, u):
    """u (batch, seqlen, d_model) through the recurrence, step by step."""
    matrix, b = discretised(kind, own)
    C = whole(own["C"])
    x = torch.zeros(u.shape[0], D_MODEL, D_STATE, dtype=torch.complex128)
    outputs = []
    for t in range(u.shape[1]):
        x = torch.einsum("dij,bdj->bdi", matrix, x) + b * u[:, t, :, None]
        outputs.append((C * x).sum(-1).real + own["D"] * u[:, t])
    return torch.stack(outputs, 1)


def rms_norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * weight


def loss_of(kind, weights, inputs, targets):
    x = F.linear(inputs, weights["backbone.input_proj.weight"], weights["backbone.input_proj.bias"])
    for layer in range(N_LAYER):
        prefix = f"backbone.layers.{layer}."
        own = {n[len(prefix) + 6:]: v for n, v in weights.items() if n.startswith(prefix + "mixer.")}
        y = layer_output(kind, own, rms_norm(x, weights[prefix + "norm.weight"]))
        out = F.linear(F.gelu(y, approximate="tanh"), own["out.weight"], own["out.bias"])
        x = x + F.glu(out, -1)
    last = rms_norm(x, weights["backbone.norm_f.weight"])[:, -1]
    return F.cross_entropy(F.linear(last, weights["classifier.weight"], weights["classifier.bias"]), targets)


def optimizer_of(parameters):
    groups = []
    for name, parameter in parameters.items():
        matrix = name.endswith("weight") and parameter.dim() == 2
        group = {"params": [parameter]}
        if not matrix:
            group["weight_decay"] = 0.0
        if name.endswith(tuple("." + slow for slow in SLOW)):
            group["lr"] = SETTINGS["lr"] / 10
        groups.append(group)
    return torch.optim.AdamW(groups, **SETTINGS)


def make(folder, kind, seed):
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    weights = new_weights(kind, generator)
    inputs = torch.randn(BATCH, SEQLEN, D_INPUT, generator=generator).float().double()
    targets = torch.tensor([1, 3])

    def fresh():
        return {name: value.clone().requires_grad_() for name, value in weights.items()}

    parameters = fresh()
    loss = loss_of(kind, parameters, inputs, targets)
    loss.backward()
    gradients = {name: p.grad.float().contiguous() for name, p in parameters.items()}
    parameters, losses = fresh(), []
    optimizer = optimizer_of(parameters)
    for _ in range(STEPS):
        optimizer.zero_grad()
        step_loss = loss_of(kind, parameters, inputs, targets)
        step_loss.backward()
        optimizer.step()
        losses.append(step_loss.item())
    save_file({name: value.float().contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    save_file(
        {"inputs": inputs.float(), "loss": loss.detach().float(), **gradients}, folder / "gradients.safetensors"
    )
    (folder / "config.json").write_text(json.dumps(config(kind), indent=2) + "\n")
    text = {"targets": targets.tolist(), "settings": SETTINGS, "losses": losses, "torch": torch.__version__}
    (folder / "losses.json").write_text(json.dumps(text) + "\n")
    print(f"{kind}: loss {losses[0]:.4f}, then {losses[-1]:.4f}")


if __name__ == "__main__":
    for seed, name in enumerate(["s4d", "s4"]):
        make(Path(sys.argv[1]) / name, name, seed)
