from __future__ import annotations

import pytest

from automl.core.errors import ConfigError
from automl.core.errors import EvaluationError
from automl.evaluators.roofline import Roofline
from automl.stages import device as stage
from automl.stages.profile_model import ProfileRequest
from automl.stages.profile_model import measured_times
from automl.stages.profile_model import profile_model
from automl.targets.base import NodeProfile
from automl.targets.devices import DEVICES
from automl.targets.devices import Device
from tests.evaluators.traced_nets import encoder

CPU = Device("cpu", "a processor", {"f32": 1e11}, 1e10, 1e10, 1e-6, fused_attention=False, measured=True)


@pytest.fixture(autouse=True)
def planted(monkeypatch):
    monkeypatch.setattr(stage, "measure_cpu", lambda threads: CPU)


@pytest.fixture(scope="module")
def profiled(shared_cache, digits_data, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(stage, "measure_cpu", lambda threads: CPU)
    request = ProfileRequest("tests.digits:build", str(digits_data), batch=64, threads=1, repeats=5)
    yield profile_model(request, tmp_path_factory.mktemp("cache"))
    patch.undo()


def test_layers_have_an_estimated_time_and_a_measured_one_where_the_runtime_resolves_it(profiled):
    sites = [r for r in profiled.rows if r.site]
    assert len(sites) == 6
    assert all(r.estimated_ms > 0 for r in sites)
    # The runtime counts whole microseconds, so the smallest layers may have none.
    measured = [r.measured_ms for r in sites if r.measured_ms is not None]
    assert measured
    assert min(measured) > 0
    assert profiled.fit is None or profiled.fit.n == len(measured)
    assert "openvino" in profiled.runtime
    assert profiled.device_measured


def test_work_is_counted_for_the_batch(profiled):
    stem = profiled.rows[0]
    assert stem.macs == 64 * 64 * 16 * 9
    assert "batch 64" in profiled.setting


def test_nothing_is_measured_for_a_device_that_is_not_here(digits_data, shared_cache):
    found = profile_model(ProfileRequest("tests.digits:build", str(digits_data), device="h100"), shared_cache)
    assert found.measured_ms is None
    assert found.fit is None
    assert found.runtime == ""
    assert not found.device_measured
    assert "Nothing was measured" in found.notes[0]


def test_times_of_fused_nodes_count_for_their_operator():
    graph = encoder()[1]
    table = Roofline(graph, DEVICES["h100"]).table({})
    up = next(p.operator for p in table if p.operator.site == "up")
    executed = [
        NodeProfile("a", "FullyConnected", "f32", 2.0, (up.nodes[0],)),
        NodeProfile("b", "Gelu", "f32", 0.5, (up.nodes[-1],)),
        NodeProfile("c", "Reorder", "f32", 0.25, ("nowhere",)),
    ]
    assert measured_times(graph, executed, table) == {up.name: 2.75}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device": "h10"}, "did you mean 'h100'"),
        ({"float_type": "f16"}, "unknown float type 'f16'"),
        ({"batch": 0}, "batch=0 measures nothing"),
        ({"repeats": 0}, "repeats=0 measures nothing"),
        ({"context": 5}, "add --decode"),
        ({"threads": 4096}, "threads=4096"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        profile_model(ProfileRequest("tests.digits:build", **settings), tmp_path)


def test_an_image_model_does_not_decode(digits_data, shared_cache):
    request = ProfileRequest("tests.digits:build", str(digits_data), decode=True)
    with pytest.raises(EvaluationError, match="no token axis"):
        profile_model(request, shared_cache)
