"""The recurrent unit against PyTorch's: values and every gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.strategies.gru_math import gru_backward
from automl.strategies.gru_math import gru_forward
from automl.strategies.gru_math import gru_step
from automl.strategies.gru_math import sigmoid

STEPS, ROWS, WIDTH = 5, 3, 4


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    shapes = {
        "inputs": (STEPS, ROWS, 3 * WIDTH),
        "start": (ROWS, WIDTH),
        "weight": (WIDTH, 3 * WIDTH),
        "bias": (3 * WIDTH,),
        "upstream": (STEPS, ROWS, WIDTH),
    }
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def torch_run(arrays):
    """Return the states of torch.nn.GRU and the gradients of sum(upstream * states)."""
    gru = torch.nn.GRU(3 * WIDTH, WIDTH).double()
    leaves = {k: torch.tensor(v, requires_grad=True) for k, v in arrays.items()}
    flat = {
        # the inputs' share of the gates is given, so torch's own input product is the identity
        "weight_ih_l0": torch.eye(3 * WIDTH, dtype=torch.float64),
        "weight_hh_l0": leaves["weight"].T,
        "bias_ih_l0": torch.zeros(3 * WIDTH, dtype=torch.float64),
        "bias_hh_l0": leaves["bias"],
    }
    states, _ = torch.func.functional_call(gru, flat, (leaves["inputs"], leaves["start"][None]))
    (states * leaves["upstream"]).sum().backward()
    return states.detach().numpy(), {k: v.grad.numpy() for k, v in leaves.items() if k != "upstream"}


def test_states_equal_torch(arrays):
    trace = gru_forward(arrays["inputs"], arrays["start"], arrays["weight"], arrays["bias"])
    states, _ = torch_run(arrays)
    np.testing.assert_allclose(trace.hidden[1:], states, rtol=1e-12)


def test_gradients_equal_torch(arrays):
    trace = gru_forward(arrays["inputs"], arrays["start"], arrays["weight"], arrays["bias"])
    own = gru_backward(trace, arrays["weight"], arrays["upstream"])
    _, expected = torch_run(arrays)
    for name, gradient in zip(("inputs", "start", "weight", "bias"), own, strict=True):
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-10, atol=1e-13)


def test_steps_make_the_sequence(arrays):
    trace = gru_forward(arrays["inputs"], arrays["start"], arrays["weight"], arrays["bias"])
    state = arrays["start"]
    for inputs, expected in zip(arrays["inputs"], trace.hidden[1:], strict=True):
        state, _, _ = gru_step(inputs, state, arrays["weight"], arrays["bias"])
        np.testing.assert_array_equal(state, expected)


def test_a_closed_update_gate_keeps_the_state():
    inputs = np.zeros((1, 3))
    inputs[0, 1] = 1e3
    state, _, _ = gru_step(inputs, np.array([[0.3]]), np.zeros((1, 3)), np.zeros(3))
    assert state[0, 0] == 0.3


def test_sigmoid_does_not_overflow_and_keeps_its_type():
    values = sigmoid(np.array([-1e4, 0.0, 1e4], dtype=np.float32))
    assert values.tolist() == [0.0, 0.5, 1.0]
    assert values.dtype == np.float32
