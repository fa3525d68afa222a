from dataclasses import dataclass
from dataclasses import field

import pytest

from automl.core.errors import SpaceError
from automl.searchspaces.builders.precision import assignment_of
from automl.searchspaces.builders.precision import precision_space
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site

ALL = ("fp", "w8a8", "w4a8")


@dataclass
class Legal:
    options: dict = field(default_factory=lambda: dict.fromkeys("abcd", ALL))
    ties: tuple = ()
    float_types: tuple = ("f32",)


def graph() -> ModelGraph:
    sites = tuple(Site(n, "linear", n, (2, 2), 1, False, 4, 1) for n in "abcd")
    return ModelGraph((), sites, ((1, 2),))


def test_dimensions_follow_execution_order_with_the_float_type_first():
    space = precision_space(graph(), Legal(float_types=("bf16", "f32")))
    names = [d.name for d in space.dimensions]
    assert names == ["float:model", "precision:a", "precision:b", "precision:c", "precision:d"]
    assert space.dimensions[0].options == ("f32", "bf16")
    assert space.default["float:model"] == "f32"


def test_one_float_type_and_one_option_are_no_dimension():
    legal = Legal(options={"a": ("fp",), "b": ALL})
    assert [d.name for d in precision_space(graph(), legal).dimensions] == ["precision:b"]


def test_tied_sites_share_the_options_legal_at_all_and_overlapping_ties_join():
    legal = Legal(ties=(("b", "c"), ("d", "c")))
    legal.options["d"] = ("fp", "w8a8")
    space = precision_space(graph(), legal)
    tied = space.dimensions[1]
    assert (tied.name, tied.sites, tied.options) == ("precision:b", ("b", "c", "d"), ("fp", "w8a8"))
    candidate = space.with_options({"precision:b": "w8a8"})
    precisions, float_type = assignment_of(candidate, space)
    assert precisions == {"a": "fp", "b": "w8a8", "c": "w8a8", "d": "w8a8"}
    assert float_type == "f32"


def test_the_float_type_of_a_candidate_is_returned():
    space = precision_space(graph(), Legal(float_types=("f32", "bf16")))
    assert assignment_of(space.with_options({"float:model": "bf16"}), space)[1] == "bf16"


@pytest.mark.parametrize(
    ("legal", "message"),
    [
        (Legal(options={"e": ALL}), "unknown site 'e'"),
        (Legal(ties=(("a", "z"),)), "unknown site 'z'"),
        (Legal(options={"a": ("w8a8",)}), "must include fp"),
        (Legal(float_types=("bf16",)), "must include f32"),
        (Legal(options={}), "no dimension"),
    ],
)
def test_bad_legality_is_refused(legal, message):
    with pytest.raises(SpaceError, match=message):
        precision_space(graph(), legal)
