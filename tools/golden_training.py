"""Gradients and losses of training, for make_golden.py: gradients.safetensors and losses.json.

gradients.safetensors has `loss` (a scalar) and the gradient of every parameter by its name and shape
in model.safetensors, in f32 from a float64 run. The loss is the mean cross-entropy in nats: for a
language model of the next tokens of ids_batch.json (the last has none, so 16 of each sequence's 17
steps count), for a classifier of the logits after the last step of inputs_batch.

losses.json has `targets` (the next tokens, or the labels), `settings`, and two runs of ten steps of
torch.optim.AdamW in float64 on that batch from the stored weights, `plain` and `clipped` (global norm
1.0): the `losses` before each step, and the `norms` of the whole gradient before clipping.
"""

import json
from collections import OrderedDict

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

STEPS, LABELS, MAX_NORM = 10, [1, 4], 1.0
SETTINGS = {"lr": 1e-3, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1}


def is_decayed(name):
    return not ("norm" in name or name.endswith((".A_log", ".D", "bias")))


def mean_cross_entropy(logits, targets):
    return F.cross_entropy(logits.flatten(0, -2), torch.as_tensor(targets).flatten())


def expect_training(folder, load, targets, numpy_loss, about):
    """Writes both files.

    load() gives fresh float64 parameters by name, and the function that computes the loss with them.
    numpy_loss(weights) gives that loss without torch, for central differences. about(**measured)
    gives the metadata.
    """
    parameters, loss_fn = load()
    loss = loss_fn()
    assert loss.dtype == torch.float64
    loss.backward()
    gradients = OrderedDict((name, p.grad) for name, p in sorted(parameters.items()))
    worst = check(parameters, loss, numpy_loss)
    f32 = {name: g.float().contiguous() for name, g in gradients.items()}
    # One key: safetensors does not promise the order of several.
    metadata = {"golden": json.dumps(about(central_differences_max_relative_error=worst))}
    save_file({"loss": loss.detach().float(), **f32}, folder / "gradients.safetensors", metadata)

    runs = {"plain": train(*load(), None), "clipped": train(*load(), MAX_NORM)}
    clips = sum(norm > MAX_NORM for norm in runs["clipped"]["norms"])
    assert clips > STEPS / 2, f"{folder.name}: little to clip, {runs}"
    settings = {**SETTINGS, "max_norm": MAX_NORM}
    text = json.dumps({"targets": targets, "settings": settings, **runs})
    (folder / "losses.json").write_text(text + "\n")
    after = {name: round(run["losses"][-1], 4) for name, run in runs.items()}
    print(f"{folder.name:20} loss {loss.item():.4f}, then {after}  numpy differs by {worst:.1e}")


def check(parameters, loss, numpy_loss, h=1e-5):
    """Compares numpy's loss, and its central differences along one direction for each tensor."""
    weights = {name: p.detach().clone() for name, p in parameters.items()}
    assert abs(numpy_loss(weights) - loss.item()) < 1e-12
    rng = np.random.default_rng(1)
    worst = 0.0
    for name, p in parameters.items():
        # The sign of each gradient's element, here and there turned: no element cancels another's.
        sign = torch.sign(p.grad) * torch.from_numpy(rng.choice([1.0, 1.0, 1.0, -0.5], p.shape))
        expected = (p.grad * sign).sum().item()
        step = h / sign.norm().item()
        moved = [numpy_loss({**weights, name: weights[name] + s * step * sign}) for s in (1, -1)]
        found = (moved[0] - moved[1]) / (2 * step)
        worst = max(worst, abs(found / expected - 1))
        assert worst < 1e-6, f"{name}: {found} by central differences, {expected}"
    return worst


def train(parameters, loss_fn, max_norm):
    groups = [
        {"params": [p for name, p in parameters.items() if is_decayed(name)]},
        {"params": [p for n, p in parameters.items() if not is_decayed(n)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, **SETTINGS)
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_fn()
        loss.backward()
        limit = float("inf") if max_norm is None else max_norm
        norms.append(torch.nn.utils.clip_grad_norm_(list(parameters.values()), limit).item())
        losses.append(loss.item())
        optimizer.step()
    return {"losses": losses, "norms": norms}


def compare_losses(a, b):
    """As make_golden.py --check compares them: other versions of torch may sum in another order."""
    assert a["targets"] == b["targets"] and a["settings"] == b["settings"]
    for run in ["plain", "clipped"]:
        for key in ["losses", "norms"]:
            np.testing.assert_allclose(a[run][key], b[run][key], rtol=1e-7)
