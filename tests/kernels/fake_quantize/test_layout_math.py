from __future__ import annotations

import pytest
import torch

from automl.kernels.fake_quantize.layout_math import Layout
from automl.kernels.fake_quantize.layout_math import layout_of
from automl.kernels.fake_quantize.layout_math import scale_shape
from automl.kernels.fake_quantize.layout_math import spread


def index_of(layout: Layout, row: int, column: int) -> int:
    """Return the scale of an element, as the docstring of ``Layout`` says."""
    return {
        "one": 0,
        "row": row % layout.period,
        "column": column,
        "group": row * layout.period + column // layout.group,
    }[layout.mode]


@pytest.mark.parametrize(
    ("shape", "granularity", "axis", "group"),
    [
        ((2, 3, 4), "tensor", 0, 1),
        ((2, 3, 4), "channel", 0, 1),
        ((2, 3, 4), "channel", 1, 1),
        ((2, 3, 4), "channel", 2, 1),
        ((2, 3, 7), "group", 0, 3),
        ((5,), "group", 0, 2),
        ((5,), "channel", 0, 2),
    ],
)
def test_the_matrix_view_and_broadcasting_name_the_same_scale(shape, granularity, axis, group):
    layout = layout_of(shape, granularity, axis, group)
    steps = scale_shape(shape, granularity, axis, group)
    scale = torch.arange(torch.Size(steps).numel()).reshape(steps)
    wide = spread(scale, shape, granularity, axis, group).expand(shape).reshape(layout.rows, layout.columns)
    for row in range(layout.rows):
        for column in range(layout.columns):
            assert scale.flatten()[index_of(layout, row, column)] == wide[row, column]


def test_shapes_of_scales():
    assert scale_shape((4, 5, 130), "tensor", 0, 64) == ()
    assert scale_shape((4, 5, 130), "channel", 1, 64) == (5,)
    assert scale_shape((4, 5, 130), "group", 0, 64) == (4, 5, 3)
