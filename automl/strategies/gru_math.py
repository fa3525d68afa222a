"""A gated recurrent unit on arrays: forward, one step, and the gradient through time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["GruTrace", "gru_backward", "gru_forward", "gru_step", "sigmoid"]


@dataclass(frozen=True, eq=False)
class GruTrace:
    """What the gradient needs of a forward pass.

    Args:
        hidden: states before and after every step, (n_steps + 1, n, width); the first one is the start.
        gates: reset, update and new gate after their activations, (n_steps, n, 3 * width).
        inner: the recurrent part of the new gate before the reset gate scales it, (n_steps, n, width).
    """

    hidden: Floats
    gates: Floats
    inner: Floats


def sigmoid(x: Floats) -> Floats:
    """Return ``1 / (1 + exp(-x))`` without overflow; keeps the type and shape of ``x``."""
    half = x.dtype.type(0.5)
    value: Floats = half * np.tanh(half * x) + half
    return value


def gru_step(inputs: Floats, state: Floats, weight: Floats, bias: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (new state, gates, inner) of one step.

    Args:
        inputs: the input's share of the gates (reset, update, new), bias included, (n, 3 * width).
        state: (n, width).
        weight: recurrent weights, (width, 3 * width).
        bias: recurrent bias, (3 * width,).

    Reference:
        Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
        Translation", arXiv 1406.1078, in the form where the reset gate acts after the recurrent product.
    """
    width = state.shape[1]
    recurrent = state @ weight + bias
    gates = np.empty_like(recurrent)
    gates[:, : 2 * width] = sigmoid(inputs[:, : 2 * width] + recurrent[:, : 2 * width])
    reset, update = gates[:, :width], gates[:, width : 2 * width]
    inner = recurrent[:, 2 * width :]
    new = np.tanh(inputs[:, 2 * width :] + reset * inner)
    gates[:, 2 * width :] = new
    return new + update * (state - new), gates, inner


def gru_forward(inputs: Floats, start: Floats, weight: Floats, bias: Floats) -> GruTrace:
    """Return the trace of a sequence.

    Args:
        inputs: as in :func:`gru_step` for every step, (n_steps, n, 3 * width).
        start: (n, width).
        weight: (width, 3 * width).
        bias: (3 * width,).
    """
    n_steps, n, width = len(inputs), *start.shape
    hidden = np.empty((n_steps + 1, n, width), dtype=start.dtype)
    gates = np.empty((n_steps, n, 3 * width), dtype=start.dtype)
    inner = np.empty((n_steps, n, width), dtype=start.dtype)
    hidden[0] = start
    for t in range(n_steps):
        hidden[t + 1], gates[t], inner[t] = gru_step(inputs[t], hidden[t], weight, bias)
    return GruTrace(hidden, gates, inner)


def gru_backward(trace: GruTrace, weight: Floats, upstream: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the gradients of (inputs, start, weight, bias).

    Args:
        trace: of :func:`gru_forward`.
        weight: (width, 3 * width).
        upstream: gradient of every state after its step, (n_steps, n, width).
    """
    n_steps, n, width = upstream.shape
    reset, update, new = np.split(trace.gates, 3, axis=2)
    # the factors that do not depend on the gradient, for all steps at once
    to_new = (1 - update) * (1 - new * new)
    to_update = (trace.hidden[:-1] - new) * update * (1 - update)
    to_reset = trace.inner * reset * (1 - reset)
    inputs = np.empty((n_steps, n, 3 * width), dtype=upstream.dtype)
    recurrent = np.empty_like(inputs)
    transposed = np.ascontiguousarray(weight.T)
    carried = np.zeros((n, width), dtype=upstream.dtype)
    for t in range(n_steps - 1, -1, -1):
        arriving = upstream[t] + carried
        at_new = arriving * to_new[t]
        into = recurrent[t]
        into[:, :width] = at_new * to_reset[t]
        into[:, width : 2 * width] = arriving * to_update[t]
        into[:, 2 * width :] = at_new * reset[t]
        inputs[t, :, 2 * width :] = at_new
        carried = arriving * update[t] + into @ transposed
    inputs[:, :, : 2 * width] = recurrent[:, :, : 2 * width]
    flat = recurrent.reshape(-1, 3 * width)
    weight_gradient = trace.hidden[:-1].reshape(-1, width).T @ flat
    return inputs, carried, weight_gradient, flat.sum(axis=0)
