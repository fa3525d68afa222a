"""A small multi-layer perceptron on arrays: forward pass and gradient."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Layers = dict[str, Floats]

__all__ = ["drawn_layers", "perceptron", "perceptron_gradient"]


def drawn_layers(widths: Sequence[int], rng: np.random.Generator) -> Layers:
    """Return weights ``w0``, ``w1``, ... and biases ``b0``, ... of a perceptron with these widths.

    Weights are uniform with variance 1 / fan-in, those of the last layer a tenth of it in scale, biases zero.
    """
    layers: Layers = {}
    for k, (wide, narrow) in enumerate(pairwise(widths)):
        bound = (3.0 / wide) ** 0.5 * (0.1 if k == len(widths) - 2 else 1.0)
        layers[f"w{k}"] = rng.uniform(-bound, bound, size=(wide, narrow)).astype(np.float32)
        layers[f"b{k}"] = np.zeros(narrow, dtype=np.float32)
    return layers


def perceptron(layers: Layers, inputs: Floats) -> list[Floats]:
    """Return the activations, the inputs first, (n, width) each; all but the last layer are rectified."""
    activations, depth = [inputs], len(layers) // 2
    for k in range(depth):
        values: Floats = activations[-1] @ layers[f"w{k}"] + layers[f"b{k}"]
        activations.append(values if k == depth - 1 else np.maximum(values, 0))
    return activations


def perceptron_gradient(
    layers: Layers, activations: Sequence[Floats], upstream: Floats
) -> tuple[Layers, Floats]:
    """Return the gradients of the layers and of the inputs.

    Args:
        layers: the perceptron's.
        activations: of :func:`perceptron`.
        upstream: gradient of the outputs, (n, width of the last layer).
    """
    gradient: Layers = {}
    for k in range(len(layers) // 2 - 1, -1, -1):
        gradient[f"w{k}"] = activations[k].T @ upstream
        gradient[f"b{k}"] = upstream.sum(axis=0)
        upstream = upstream @ layers[f"w{k}"].T
        if k > 0:
            upstream = upstream * (activations[k] > 0)
    return gradient, upstream
