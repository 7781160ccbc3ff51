"""Mamba-1 in float64 numpy, written from the equations: what make_golden.py checks PyTorch against.

Shapes are (batch, seqlen, ...). Weights are a dict by official name without the `backbone.` prefix.
"""

import numpy as np


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def softplus(v):
    return np.where(v > 20, v, np.log1p(np.exp(np.minimum(v, 20))))


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def block(weights, prefix, x, state, eps):
    """One block on the residual stream x; the arrays of `state` are replaced by those after it."""
    own = lambda name: weights.get(prefix + name)  # None where the model has no such bias
    seqlen = x.shape[1]
    d_inner, d_state = own("mixer.A_log").shape
    dt_rank = own("mixer.dt_proj.weight").shape[1]

    xz = rms_norm(x, own("norm.weight"), eps) @ own("mixer.in_proj.weight").T
    if own("mixer.in_proj.bias") is not None:
        xz = xz + own("mixer.in_proj.bias")
    u, z = xz[..., :d_inner], xz[..., d_inner:]
    A = -np.exp(own("mixer.A_log"))
    out = np.empty_like(u)
    for t in range(seqlen):
        window = np.concatenate([state["conv_state"][..., 1:], u[:, t, :, None]], -1)
        state["conv_state"] = window
        c = (window * own("mixer.conv1d.weight")[:, 0, :]).sum(-1)
        if own("mixer.conv1d.bias") is not None:
            c = c + own("mixer.conv1d.bias")
        c = c * sigmoid(c)
        dt, B, C = np.split(c @ own("mixer.x_proj.weight").T, [dt_rank, dt_rank + d_state], -1)
        dt = softplus(dt @ own("mixer.dt_proj.weight").T + own("mixer.dt_proj.bias"))
        h = np.exp(dt[..., None] * A) * state["ssm_state"] + (dt * c)[..., None] * B[:, None, :]
        state["ssm_state"] = h
        y = (h * C[:, None, :]).sum(-1) + own("mixer.D") * c
        out[:, t] = y * z[:, t] * sigmoid(z[:, t])
    y = out @ own("mixer.out_proj.weight").T
    if own("mixer.out_proj.bias") is not None:
        y = y + own("mixer.out_proj.bias")
    return x + y


def zero_state(weights, batch):
    """One dict of zeros a layer."""
    states = []
    while f"layers.{len(states)}.mixer.A_log" in weights:
        prefix = f"layers.{len(states)}.mixer."
        d_inner, _, d_conv = weights[prefix + "conv1d.weight"].shape
        d_state = weights[prefix + "A_log"].shape[1]
        states.append({
            "conv_state": np.zeros((batch, d_inner, d_conv)),
            "ssm_state": np.zeros((batch, d_inner, d_state)),
        })
    return states


def backbone(weights, x, states, eps=1e-5):
    """The blocks and norm_f: the residual stream after each block, the output of norm_f."""
    layers = []
    for i, state in enumerate(states):
        x = block(weights, f"layers.{i}.", x, state, eps)
        layers.append(x)
    return layers, rms_norm(x, weights["norm_f.weight"], eps)
