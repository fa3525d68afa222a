from __future__ import annotations

import pytest
import torch
from torch import nn

from automl.core.errors import ModelError
from automl.searchspaces.refusal import refusal


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Sized(nn.Module):
    def forward(self, x):
        kept = int((x > 0).sum().item())
        return x + torch.ones(kept).sum()


class Leaving(nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.numpy() * 2)


def refused(module):
    try:
        torch.export.export(module, (torch.ones(2, 3),))
    except RuntimeError as error:
        return str(refusal(error))
    return pytest.fail("export took the model")


@pytest.mark.parametrize(
    ("module", "op", "line"),
    [
        (Branching(), " at Tensor.__bool__", "return x if x.sum() > 0 else -x"),
        (Sized(), "", "kept = int("),
        (Leaving(), " at Tensor.numpy", "x.numpy()"),
    ],
)
def test_operation_and_line_of_the_model_are_named(module, op, line):
    text = refused(module)
    assert text.startswith(f"torch.export refuses the model{op} (test_refusal.py:")
    assert line in text
    assert "--input" in text
    assert "\n" not in text
    assert "Size-like" not in text


def test_an_operator_in_the_text_is_named():
    text = str(refusal(RuntimeError("no rule for torch.ops.aten.foo.default here\nsecond line")))
    assert text.startswith("torch.export refuses the model at aten.foo.default: no rule")
    assert "second line" not in text


def test_an_error_without_text_is_named_by_its_type():
    error = refusal(AssertionError())
    assert isinstance(error, ModelError)
    assert "AssertionError" in str(error)
