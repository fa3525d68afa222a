"""Layers share codes, hand them on, take activations in and are stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from automl.core.errors import EvaluationError
from automl.targets.torch_lowering import lower
from automl.targets.torch_program import value_types
from automl.targets.torch_program import write_program
from automl.targets.torch_sites import Serving
from tests.targets.programs import ENCODER
from tests.targets.programs import lowered
from tests.targets.programs import program_of
from tests.targets.programs import read_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.conftest import Small


def kinds(net: Small, precisions: dict[str, str], serving: Serving | None = None) -> list[str]:
    graph = lowered(net, precisions, serving).graph
    return [n.meta["kind"] for n in graph.nodes if n.op == "call_module"]


def test_query_key_and_value_are_one_product_of_codes_made_once(encoder: Small) -> None:
    precisions = dict.fromkeys(("query", "key", "value"), "w8a8")
    assert kinds(encoder, precisions) == ["codes", "integer", "float", "float", "float"]


def test_a_layer_hands_on_codes_when_its_activation_is_read_as_codes(encoder: Small) -> None:
    precisions = dict.fromkeys(("up", "down"), "w8a8")
    graph = lowered(encoder, precisions).graph
    assert [n.meta["kind"] for n in graph.nodes if n.op == "call_module"][-3:] == [
        "codes",
        "integer",
        "integer",
    ]
    assert not [n for n in graph.nodes if "gelu" in n.name and n.op == "call_function"]


def test_a_float_reader_keeps_the_result_in_float(encoder: Small) -> None:
    assert kinds(encoder, {"up": "w8a8"})[-3:] == ["codes", "integer", "float"]


def test_float_layers_that_read_the_same_value_are_stacked(encoder: Small) -> None:
    assert kinds(encoder, {}) == ["float"] * 4


def test_layers_of_different_kinds_are_not_stacked(encoder: Small) -> None:
    assert kinds(encoder, {"query": "w8a8", "key": "w8"})[:4] == ["codes", "integer", "w8", "float"]


def test_four_bit_layers_keep_their_bits_where_a_kernel_has_them(encoder: Small) -> None:
    parts = lowered(
        encoder, dict.fromkeys(ENCODER, "w4a8"), Serving(preference="reference", four_bit=True)
    ).parts
    layers = [type(getattr(p, "__self__", None)).__name__ for p in parts.values()]
    assert "W4A8Linear" in layers


def test_a_plan_that_quantizes_what_no_layer_reads_is_refused(small: Small, tmp_path: Path) -> None:
    plan = small.plan(dict.fromkeys(("stem", "left", "wide"), "w8a8"))
    file = tmp_path / "program.safetensors"
    file.write_bytes(write_program(small.traced, plan, value_types(small.traced)))
    with pytest.raises(EvaluationError, match="no kernel of this target reads as codes"):
        lower(read_program(file), Serving())


def test_weights_of_tied_tables_are_dequantized(encoder: Small) -> None:
    program = program_of(encoder, {"up": "w8a8"})
    codes = program.sites["up"]
    expected = codes.codes.float() * codes.scale[:, None]
    torch.testing.assert_close(codes.dequantized(), expected)
