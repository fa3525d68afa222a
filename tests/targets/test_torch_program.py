from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import safetensors.torch
import torch

from automl.core.errors import EvaluationError
from automl.targets.idle_model import idle_input
from automl.targets.torch_program import idle_program
from automl.targets.torch_program import read_program
from automl.targets.torch_program import value_types
from automl.targets.torch_program import write_program
from automl.targets.torch_serving import load_program
from automl.targets.torch_sites import Serving
from tests.targets.programs import program_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.conftest import Small


def test_a_file_gives_back_graph_inputs_codes_and_reads(encoder: Small) -> None:
    program = program_of(encoder, {"up": "w8a8", "down": "w4g64"})
    names = [n.name for n in encoder.traced.module.graph.nodes]
    assert [n.name for n in program.graph.nodes] == names
    assert [(i.dtype, i.shape) for i in program.inputs] == [("int64", (0, 8))]
    assert program.batch is None
    assert {s: c.option for s, c in program.sites.items()} == {"up": "w8a8", "down": "w4g64"}
    assert [c for _, c in program.reads] == [encoder.traced.graph.site("up").node]
    assert "up.weight" not in program.tensors


def test_the_maps_that_convolutions_read_are_kept(small: Small) -> None:
    assert program_of(small, {}).maps == {"stem": (3, 16, 16), "left": (16, 16, 16), "wide": (16, 17, 17)}


def test_grouped_codes_are_dequantized_by_group(encoder: Small) -> None:
    codes = program_of(encoder, {"down": "w4g64"}).sites["down"]
    torch.testing.assert_close(codes.dequantized(), codes.codes.float() * codes.scale[:, :1])


def test_types_and_ranks_are_those_of_the_values(encoder: Small) -> None:
    types = value_types(encoder.traced)
    first = next(n.name for n in encoder.traced.module.graph.nodes if n.op == "placeholder")
    assert types[first] == ("int64", 2)
    assert types[encoder.traced.graph.site("up").node] == ("float32", 3)


def test_tensors_that_are_the_same_are_stored_once(encoder: Small) -> None:
    content = write_program(encoder.traced, encoder.plan({}), value_types(encoder.traced))
    weights = sum(4 * p.numel() for p in set(encoder.traced.module.parameters()))
    assert len(content) < 1.2 * weights + 20_000


@pytest.mark.parametrize("damage", ["empty", "foreign", "version", "cut"])
def test_what_is_no_program_is_refused_by_name(encoder: Small, tmp_path: Path, damage: str) -> None:
    good = write_program(encoder.traced, encoder.plan({}), value_types(encoder.traced))
    contents = {
        "empty": b"",
        "foreign": safetensors.torch.save({"a": torch.ones(2)}),
        "version": safetensors.torch.save(
            {"a": torch.ones(2)}, metadata={"automl_program": json.dumps({"schema": 99})}
        ),
        "cut": good[: len(good) // 2],
    }
    file = tmp_path / "program.safetensors"
    file.write_bytes(contents[damage])
    with pytest.raises(EvaluationError, match=r"program\.safetensors .*write it again"):
        read_program(file)


def test_the_idle_program_runs_on_the_idle_input(tmp_path: Path) -> None:
    file = tmp_path / "idle.safetensors"
    file.write_bytes(idle_program())
    (y,) = load_program(file, Serving()).run([idle_input()])
    assert y.shape == idle_input().shape
    assert (y == idle_input().shape[-1]).all()


def test_a_loaded_program_outlives_its_file(encoder: Small, tmp_path: Path) -> None:
    file = tmp_path / "program.safetensors"
    file.write_bytes(write_program(encoder.traced, encoder.plan({}), value_types(encoder.traced)))
    model = load_program(file, Serving())
    file.write_bytes(b"")
    (y,) = model.run([encoder.images])
    assert y.shape == encoder.logits.shape
