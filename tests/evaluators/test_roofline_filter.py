from __future__ import annotations

import pytest

from automl.evaluators.roofline import Roofline
from automl.evaluators.roofline_filter import MARGIN
from automl.evaluators.roofline_filter import hopeless_options
from automl.targets.devices import Device
from tests.evaluators.test_roofline import layer
from tests.evaluators.traced_nets import decoder

ALL = ("fp", "w8", "w8a8", "w4g64")
#: 10 operations a byte: a matrix layer in f32 is limited by arithmetic from 20 rows on.
CPU = Device("cpu", "", {"f32": 1e11}, 1e13, 1e10)
FAST = Device("cpu", "", {"f32": 1e11, "bf16": 2e12, "int8": 4e12}, 1e13, 1e10)


def struck(rows, types=("f32",), *, device=CPU, estimated=False):
    found = hopeless_options(Roofline(layer(rows), device), {"fc": ALL}, (), types, estimated=estimated)
    return [option for _, option, _ in found]


def test_weight_only_options_are_hopeless_where_arithmetic_takes_all_the_time():
    assert struck(1) == []
    assert struck(40) == []
    assert struck(4096) == ["w8", "w4g64"]


def test_integer_arithmetic_is_never_judged():
    slow = Device("cpu", "", {"f32": 1e11}, 1e13, 1e10)
    found = hopeless_options(Roofline(layer(4096), slow), {"fc": ("fp", "w8a8", "w4a8")}, (), ("f32",))
    assert found == []


def test_a_runtime_may_multiply_integers_by_itself_where_the_device_is_faster_at_it():
    assert struck(4096, device=FAST) == []


def test_an_estimate_prices_the_option_itself():
    assert struck(4096, device=FAST, estimated=True) == ["w8", "w4g64"]


def test_an_option_that_pays_in_one_float_type_stays():
    assert struck(2048, device=FAST, estimated=True) == ["w8", "w4g64"]
    assert struck(2048, ("f32", "bf16"), device=FAST, estimated=True) == []


@pytest.mark.parametrize("rows", [1, 20, 200, 2000, 20000])
def test_nothing_that_could_save_more_than_the_margin_is_struck(rows):
    roofline = Roofline(layer(rows), CPU)
    real = roofline.price(roofline.operators[0])
    for option in struck(rows):
        best = roofline.site_ms("fc", option)
        assert best >= (1 - MARGIN) * (real.compute_ms + real.memory_ms)


def test_tied_sites_are_judged_together_and_the_reason_names_the_device():
    graph = decoder()[1]
    names = [s.name for s in graph.sites if s.op == "linear"][:3]
    roofline = Roofline(graph, CPU, batch=100_000)
    found = hopeless_options(roofline, dict.fromkeys(names, ("fp", "w8")), (names,), ("f32",))
    assert {site for site, _, _ in found} in (set(), set(names))
    assert len({reason for _, _, reason in found}) <= 1
    assert all("roofline of cpu" in reason for _, _, reason in found)
