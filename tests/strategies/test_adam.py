from __future__ import annotations

import json

import numpy as np
import torch

from automl.strategies.adam import Adam


def start():
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(3, 2)).astype(np.float32), "b": rng.normal(size=4).astype(np.float32)}


def gradients(n, seed=1):
    rng = np.random.default_rng(seed)
    return [
        {"a": rng.normal(size=(3, 2)).astype(np.float32), "b": rng.normal(size=4).astype(np.float32)}
        for _ in range(n)
    ]


def test_steps_equal_torch():
    parameters = start()
    leaves = {k: torch.tensor(v.copy(), requires_grad=True) for k, v in parameters.items()}
    theirs = torch.optim.Adam([{"params": [leaves["a"]], "lr": 0.1}, {"params": [leaves["b"]], "lr": 0.01}])
    own = Adam(parameters, {"a": 0.1, "b": 0.01})
    for gradient in gradients(20):
        own.descend(gradient)
        for name, leaf in leaves.items():
            leaf.grad = torch.tensor(gradient[name])
        theirs.step()
    for name, leaf in leaves.items():
        np.testing.assert_allclose(parameters[name], leaf.detach().numpy(), atol=2e-5)


def test_a_long_gradient_is_shortened():
    whole, part = start(), start()
    (gradient,) = gradients(1)
    norm = float(np.sqrt(sum((g**2).sum() for g in gradient.values())))
    clipped, plain = Adam(whole, 0.1, clip=norm / 8), Adam(part, 0.1)
    clipped.descend(gradient)
    plain.descend({k: g / np.float32(8) for k, g in gradient.items()})
    for name in whole:
        np.testing.assert_allclose(whole[name], part[name], rtol=1e-5)


def test_a_restored_state_goes_on_bit_for_bit():
    one, other = start(), start()
    first, second = Adam(one, 0.1), Adam(other, 0.1)
    steps = gradients(6)
    for gradient in steps[:3]:
        first.descend(gradient)
    for name, value in one.items():
        other[name][...] = value
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for gradient in steps[3:]:
        first.descend(gradient)
        second.descend(gradient)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
