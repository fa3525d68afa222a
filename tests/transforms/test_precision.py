from __future__ import annotations

import pytest

from automl.core.errors import SpaceError
from automl.transforms.precision import PRECISIONS
from automl.transforms.precision import Precision
from automl.transforms.precision import parse_precision


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("fp", Precision("fp", 32, None)),
        ("w8a8", Precision("w8a8", 8, 8)),
        ("w3a8", Precision("w3a8", 3, 8)),
        ("w8", Precision("w8", 8, None)),
        ("w4g64", Precision("w4g64", 4, None, 64)),
        ("w4g128", Precision("w4g128", 4, None, 128)),
    ],
)
def test_a_name_states_bits_activations_and_groups(name, precision):
    assert parse_precision(name) == precision


def test_every_known_name_is_parsed_and_keeps_its_name():
    assert [parse_precision(name).name for name in PRECISIONS] == list(PRECISIONS)


def test_only_the_float_option_quantizes_nothing():
    assert [name for name in PRECISIONS if parse_precision(name).is_float] == ["fp"]


def test_weight_only_options_leave_activations_in_float():
    assert {n for n in PRECISIONS if parse_precision(n).weight_only} == {"w8", "w4g64", "w4g128"}


@pytest.mark.parametrize("name", ["w5a8", "w4g32", "w8a4", "int8", ""])
def test_what_no_target_runs_is_refused(name):
    with pytest.raises(SpaceError, match="unknown precision option"):
        parse_precision(name)


def test_the_nearest_option_is_named():
    with pytest.raises(SpaceError, match="did you mean 'w8a8'"):
        parse_precision("w8a9")
