from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import pytest
import torch

from automl.core.errors import EvaluationError
from automl.targets.program_target import PROGRAM_RULES
from automl.targets.torch_program import value_types
from automl.targets.torch_program import write_program
from automl.targets.torch_serving import load_program
from automl.targets.torch_serving import open_artifact
from automl.targets.torch_sites import Serving
from tests.targets.programs import ENCODER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.conftest import Small


@pytest.fixture(scope="module")
def file(encoder: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "encoder.safetensors"
    plan = encoder.plan(dict.fromkeys(ENCODER, "w8a8"), PROGRAM_RULES)
    path.write_bytes(write_program(encoder.traced, plan, value_types(encoder.traced)))
    return path


def test_run_and_bind_give_the_same(encoder: Small, file: Path) -> None:
    model = load_program(file, Serving())
    (y,) = model.run([encoder.images])
    assert y.shape == encoder.logits.shape
    bound = model.bind([encoder.images])()
    np.testing.assert_array_equal(bound.numpy(), y)
    assert model.batch is None


def test_the_profile_names_every_site_by_the_graphs_names(encoder: Small, file: Path) -> None:
    rows = load_program(file, Serving()).profile([encoder.images], 3)
    origins = {name for row in rows for name in row["origins"]}
    assert {s.node for s in encoder.traced.graph.sites} <= origins
    assert origins <= {n.name for n in encoder.traced.graph.nodes} | {
        n.name for n in encoder.traced.module.graph.nodes
    }
    assert {"i8", "float32"} <= {row["precision"] for row in rows}
    assert all(row["ms"] >= 0 for row in rows)


def test_a_wrong_number_of_inputs_is_named(encoder: Small, file: Path) -> None:
    with pytest.raises(EvaluationError, match="takes 1 inputs, got 2"):
        load_program(file, Serving()).run([encoder.images, encoder.images])


def test_an_artifact_runs_with_its_threads_and_leaves_those_of_the_process(
    encoder: Small, file: Path
) -> None:
    before = torch.get_num_threads()
    inputs, call = open_artifact(file, "torch", float_type="f32", threads=1)
    (y,) = call((encoder.images,))
    assert [i.shape for i in inputs] == [(0, 8)]
    np.testing.assert_array_equal(y, load_program(file, Serving()).run([encoder.images])[0])
    assert torch.get_num_threads() == before


def test_an_unknown_float_type_names_the_known_ones(file: Path) -> None:
    with pytest.raises(EvaluationError, match=r"f8.*f32"):
        open_artifact(file, "torch", float_type="f8", threads=1)


def test_sets_of_inputs_lie_apart_and_give_the_same_result(encoder: Small, file: Path) -> None:
    model = load_program(file, Serving())
    program = model.program([encoder.images], 3)
    assert (len(program.runs), program.obstacle) == (3, "")
    (y,) = model.run([encoder.images])
    for run in program.runs:
        result: Any = run()
        np.testing.assert_array_equal(result.numpy(), y)
    places = {
        cell.data_ptr()
        for run in program.runs
        for held in run.__closure__ or ()
        if isinstance(held.cell_contents, list)
        for cell in held.cell_contents
    }
    assert len(places) == 3


class Ticking:
    """A device whose events are numbered; a node takes the time between its two."""

    def __init__(self) -> None:
        self.events = self.waits = 0

    def mark(self) -> int:
        self.events += 1
        return self.events

    def synchronize(self) -> None:
        self.waits += 1

    def elapsed_ms(self, start: int, end: int) -> float:
        return float(end - start)


def test_a_profile_by_events_waits_once_a_run_and_tells_milliseconds(encoder: Small, file: Path) -> None:
    clock = Ticking()
    rows = load_program(file, Serving()).profile([encoder.images], 3, clock)
    assert {row["ms"] for row in rows} == {1.0}
    # Three runs are left out of the mean.
    assert (clock.waits, clock.events) == (6, 6 * 2 * len(rows))
