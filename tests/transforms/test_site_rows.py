from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import fx
from torch import nn

from automl.core.errors import ModelError
from automl.searchspaces.graph import Site
from automl.transforms.site_rows import site_rows

CONVS = [
    nn.Conv2d(4, 6, 3, 2, 1),
    nn.Conv2d(4, 6, (3, 1), 1, (1, 0), dilation=(2, 1), groups=2),
    nn.Conv2d(4, 4, 5, padding=2, groups=4),
    nn.Conv2d(4, 8, 2, padding="same"),
    nn.Conv1d(4, 6, 3, padding="valid"),
]


def view(layer, example):
    """The layer as site and node: arguments in ATen order."""
    graph = fx.Graph()
    x, w, b = (graph.placeholder(n) for n in "xwb")
    args = (x, w, b, layer.stride, layer.padding, layer.dilation, layer.groups)
    node = graph.call_function(torch.conv2d, args)
    site = Site("s", "conv", "n", tuple(layer.weight.shape), layer.groups, True, 1, 1)
    return site_rows(site, node)


@pytest.mark.parametrize("layer", CONVS, ids=str)
def test_weight_matrices_times_rows_is_the_convolution(layer):
    x = torch.randn(3, 4, *((9, 8) if isinstance(layer, nn.Conv2d) else (9,)))
    rows = view(layer, x)
    with torch.no_grad():
        expected = layer(x)
        chosen = np.arange(0, rows.positions(x), 3)
        assert rows.positions(x) == expected[0, 0].numel()
        matrices = torch.from_numpy(rows.matrices(layer.weight.numpy()))
        got = torch.einsum("gnpc,grc->gnpr", rows.inputs(x, chosen), matrices)
        got = got + layer.bias.reshape(rows.groups, 1, 1, rows.rows)
    assert torch.allclose(got, rows.outputs(expected, chosen), atol=1e-5)


def test_linear_rows_are_its_flattened_inputs():
    layer, x = nn.Linear(4, 3), torch.randn(2, 5, 4)
    rows = site_rows(Site("s", "linear", "n", (3, 4), 1, True, 1, 5), fx.Graph().placeholder("n"))
    chosen = np.array([0, 3])
    got = rows.inputs(x, chosen) @ layer.weight.T + layer.bias
    assert torch.allclose(got, rows.outputs(layer(x), chosen))


def test_embeddings_have_no_matrix_view_and_unknown_ops_are_refused():
    node = fx.Graph().placeholder("n")
    assert site_rows(Site("s", "embedding", "n", (3, 4), 1, False, 0, 1), node) is None
    with pytest.raises(ModelError, match="lstm"):
        site_rows(Site("s", "lstm", "n", (3, 4), 1, False, 0, 1), node)
