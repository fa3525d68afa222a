from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.strategies.perceptron_math import drawn_layers
from automl.strategies.perceptron_math import perceptron
from automl.strategies.perceptron_math import perceptron_gradient


def test_values_and_gradients_equal_torch():
    rng = np.random.default_rng(0)
    layers = {k: v.astype(np.float64) for k, v in drawn_layers((4, 6, 5, 2), rng).items()}
    layers = {k: v + 0.1 * rng.normal(size=v.shape) for k, v in layers.items()}
    inputs, upstream = rng.normal(size=(7, 4)), rng.normal(size=(7, 2))
    leaves = {k: torch.tensor(v, requires_grad=True) for k, v in layers.items()}
    x = torch.tensor(inputs, requires_grad=True)
    hidden = torch.relu(torch.relu(x @ leaves["w0"] + leaves["b0"]) @ leaves["w1"] + leaves["b1"])
    out = hidden @ leaves["w2"] + leaves["b2"]
    (out * torch.tensor(upstream)).sum().backward()
    activations = perceptron(layers, inputs)
    np.testing.assert_allclose(activations[-1], out.detach().numpy(), rtol=1e-12)
    gradient, into = perceptron_gradient(layers, activations, upstream)
    np.testing.assert_allclose(into, x.grad.numpy(), rtol=1e-10, atol=1e-13)
    assert set(gradient) == set(layers)
    for name, leaf in leaves.items():
        np.testing.assert_allclose(gradient[name], leaf.grad.numpy(), rtol=1e-10, atol=1e-13, err_msg=name)


def test_drawn_layers_keep_the_scale_of_their_inputs():
    layers = drawn_layers((400, 300, 1), np.random.default_rng(1))
    assert layers["w0"].std() == pytest.approx(400**-0.5, rel=0.02)
    assert layers["w1"].std() == pytest.approx(0.1 * 300**-0.5, rel=0.1)
    assert not layers["b0"].any()
    assert {v.dtype for v in layers.values()} == {np.dtype(np.float32)}
