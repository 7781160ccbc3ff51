"""Mamba-1, FalconMamba and Mamba-2 in float64 numpy, step by step from the equations.

What make_golden.py checks PyTorch against. Shapes are (batch, seqlen, ...). Weights are a dict by
official name without the `backbone.` prefix; the config is that of `transformers`, and what only the
official package can set of Mamba-2 is in its attribute `ssm_cfg`.
"""

import numpy as np


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def silu(v):
    return v * sigmoid(v)


def softplus(v):
    return np.where(v > 20, v, np.log1p(np.exp(np.minimum(v, 20))))


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def linear(own, name, x):
    y = x @ own(f"{name}.weight").T
    return y if own(f"{name}.bias") is None else y + own(f"{name}.bias")


def conv1d(own, x, state):
    """silu(conv1d) of one step; the window of `state` moves on."""
    state["conv_state"] = np.concatenate([state["conv_state"][..., 1:], x[..., None]], -1)
    y = (state["conv_state"] * own("conv1d.weight")[:, 0, :]).sum(-1)
    return silu(y if own("conv1d.bias") is None else y + own("conv1d.bias"))


def mamba1_mixer(own, x, state, config):
    """Rows of in_proj are [x, z], of x_proj [dt, B, C]."""
    d_inner, d_state = own("A_log").shape
    dt_rank = own("dt_proj.weight").shape[1]
    mixer_rms_eps = getattr(config, "mixer_rms_eps", None)  # FalconMamba has it
    xz = linear(own, "in_proj", x)
    A = -np.exp(own("A_log"))
    out = np.empty((*x.shape[:2], d_inner))
    for t in range(x.shape[1]):
        u = conv1d(own, xz[:, t, :d_inner], state)
        parts = np.split(u @ own("x_proj.weight").T, [dt_rank, dt_rank + d_state], -1)
        if mixer_rms_eps is not None:
            parts = [rms_norm(part, 1.0, mixer_rms_eps) for part in parts]
        dt, B, C = parts
        dt = softplus(linear(own, "dt_proj", dt))
        h = np.exp(dt[..., None] * A) * state["ssm_state"] + (dt * u)[..., None] * B[:, None, :]
        state["ssm_state"] = h
        y = (h * C[:, None, :]).sum(-1) + own("D") * u
        out[:, t] = y * silu(xz[:, t, d_inner:])
    return linear(own, "out_proj", out)


def gated_norm(y, z, weight, ngroups, eps, ssm_cfg):
    """RMSNorm over each of ngroups groups; the gate before it or after."""
    if not ssm_cfg.get("rmsnorm", True):
        return y * silu(z)
    after = ssm_cfg.get("norm_before_gate", False)
    grouped = (y if after else y * silu(z)).reshape(*y.shape[:-1], ngroups, -1)
    normed = rms_norm(grouped, 1.0, eps).reshape(y.shape) * weight
    return normed * silu(z) if after else normed


def mamba2_mixer(own, x, state, config):
    """Rows of in_proj are [z, x, B, C, dt]; heads share the B and C of their group."""
    nheads, ngroups, d_state = config.num_heads, config.n_groups, config.state_size
    ssm_cfg = getattr(config, "ssm_cfg", {})
    d_inner = nheads * config.head_dim
    conv_dim = d_inner + 2 * ngroups * d_state
    zxbcdt = linear(own, "in_proj", x)
    A = -np.exp(own("A_log"))
    D = np.broadcast_to(own("D").reshape(nheads, -1), (nheads, config.head_dim))
    out = np.empty((*x.shape[:2], d_inner))
    batch = len(x)
    for t in range(x.shape[1]):
        z, xBC, dt = np.split(zxbcdt[:, t], [d_inner, d_inner + conv_dim], -1)
        u, B, C = np.split(conv1d(own, xBC, state), [d_inner, d_inner + ngroups * d_state], -1)
        u = u.reshape(batch, nheads, config.head_dim)
        B, C = (
            np.repeat(v.reshape(batch, ngroups, 1, d_state), nheads // ngroups, 1) for v in (B, C)
        )
        dt = np.clip(softplus(dt + own("dt_bias")), *config.time_step_limit)[..., None, None]
        h = np.exp(dt * A[:, None, None]) * state["ssm_state"] + dt * u[..., None] * B
        state["ssm_state"] = h
        y = ((h * C).sum(-1) + D * u).reshape(batch, d_inner)
        norm = own("norm.weight")
        out[:, t] = gated_norm(y, z, norm, ngroups, config.layer_norm_epsilon, ssm_cfg)
    return linear(own, "out_proj", out)


def zero_state(weights, batch, config):
    """One dict of zeros a layer."""
    states = []
    while f"layers.{len(states)}.mixer.A_log" in weights:
        prefix = f"layers.{len(states)}.mixer."
        channels, _, d_conv = weights[prefix + "conv1d.weight"].shape
        heads = (
            (config.num_heads, config.head_dim) if config.model_type == "mamba2" else (channels,)
        )
        states.append({
            "conv_state": np.zeros((batch, channels, d_conv)),
            "ssm_state": np.zeros((batch, *heads, config.state_size)),
        })
    return states


def backbone(weights, x, states, config):
    """The blocks and norm_f: the residual stream after each block, the output of norm_f.

    The arrays of `states` are replaced by those after the last step.
    """
    eps = config.layer_norm_epsilon
    mixer = mamba2_mixer if config.model_type == "mamba2" else mamba1_mixer
    layers = []
    for i, state in enumerate(states):
        prefix = f"layers.{i}."
        own = lambda name: weights.get(f"{prefix}mixer.{name}")  # None where there is no such bias
        x = x + mixer(own, rms_norm(x, weights[f"{prefix}norm.weight"], eps), state, config)
        layers.append(x)
    return layers, rms_norm(x, weights["norm_f.weight"], eps)
