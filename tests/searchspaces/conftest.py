"""Two traced networks: (module, example inputs, traced model)."""

from __future__ import annotations

import pytest

from automl.searchspaces.trace import trace_model
from tests.searchspaces.networks import conv_net
from tests.searchspaces.networks import token_net


@pytest.fixture(scope="package")
def traced_conv():
    model, inputs = conv_net()
    return model, inputs, trace_model(model, inputs)


@pytest.fixture(scope="package")
def traced_tokens():
    model, inputs = token_net()
    return model, inputs, trace_model(model, inputs)
