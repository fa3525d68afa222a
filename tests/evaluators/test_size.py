from __future__ import annotations

import pytest

from automl.core.errors import SpaceError
from automl.evaluators.size import site_size
from automl.evaluators.size import site_sizes
from automl.evaluators.size import size_bytes
from automl.evaluators.size import weight_bits
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site

CONV = Site("conv", "conv", "conv", (8, 3, 3, 3), 1, True, 1000, 10)
HEAD = Site("head", "linear", "linear", (10, 100), 1, True, 1000, 1)
TABLE = Site("table", "embedding", "embedding", (50, 6), 1, False, 0, 1)


def _graph():
    return ModelGraph((), (CONV, HEAD, TABLE), ((1, 3, 8, 8),), n_other_parameters=18)


def test_float_model_takes_four_bytes_a_parameter():
    n = 8 * 27 + 10 * 100 + 50 * 6 + 18
    assert size_bytes(_graph(), {}) == 4 * n
    assert weight_bits(_graph(), {}) == 32.0


@pytest.mark.parametrize(
    ("option", "codes", "scales"),
    [
        ("w8a8", 1000, 40),
        ("w8", 1000, 40),
        ("w6a8", 750, 40),
        ("w4a8", 500, 40),
        ("w3a8", 375, 40),
        ("w2a8", 250, 40),
        ("w4g64", 500, 10 * 2 * 2),
        ("w4g128", 500, 10 * 1 * 2),
        ("fp", 4000, 0),
    ],
)
def test_codes_are_packed_and_scales_counted(option, codes, scales):
    size = site_size(HEAD, option)
    assert (size.code_bytes, size.scale_bytes) == (codes, scales)
    assert size.total_bytes == codes + scales


def test_odd_bits_round_up_to_whole_bytes():
    site = Site("s", "linear", "s", (1, 3), 1, False, 3, 1)
    assert site_size(site, "w3a8").code_bytes == 2


def test_bits_average_over_every_weight_with_scales():
    bits = weight_bits(_graph(), {"head": "w4a8"})
    assert bits == pytest.approx(8 * (216 * 4 + (500 + 40) + 300 * 4) / (216 + 1000 + 300))


def test_only_the_chosen_site_changes():
    before, after = size_bytes(_graph(), {}), size_bytes(_graph(), {"table": "w8"})
    assert before - after == 300 * 4 - (300 + 50 * 4)


def test_breakdown_keeps_execution_order():
    sizes = site_sizes(_graph(), {"head": "w8a8"})
    assert [(s.site, s.option) for s in sizes] == [("conv", "fp"), ("head", "w8a8"), ("table", "fp")]


def test_unknown_site_and_option_are_named():
    with pytest.raises(SpaceError, match="did you mean 'head'"):
        size_bytes(_graph(), {"haed": "w8a8"})
    with pytest.raises(SpaceError, match="unknown precision option 'w9'"):
        size_bytes(_graph(), {"head": "w9"})


def test_bits_of_a_model_without_weights_are_undefined():
    with pytest.raises(SpaceError, match="undefined"):
        weight_bits(ModelGraph((), (), ((1, 3),)), {})
