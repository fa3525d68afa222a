from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from automl.core.candidate import Candidate
from automl.core.errors import SpaceError

scalars = st.one_of(st.text(max_size=5), st.integers(-5, 5), st.booleans(), st.floats(-2, 2, width=16))


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.text(min_size=1, max_size=6), scalars, max_size=5))
def test_json_round_trip(mapping):
    candidate = Candidate.of(mapping)
    again = Candidate.from_json(candidate.json)
    assert again == candidate
    assert again.json == candidate.json
    assert hash(again) == hash(candidate)


def test_order_of_assignment_does_not_matter():
    one, two = Candidate.of({"b": 1, "a": "x"}), Candidate.of({"a": "x", "b": 1})
    assert one == two
    assert one.digest == two.digest
    assert one.json == '{"a":"x","b":1}'


def test_digest_is_stable():
    assert Candidate.of({"precision:conv": "w8a8"}).digest == "8a4d3ca3ef113848"


def test_digest_tells_options_apart():
    assert Candidate.of({"a": "w8"}).digest != Candidate.of({"a": "w4"}).digest


def test_lookup():
    assert Candidate.of({"a": "w8", "b": 2})["b"] == 2
    with pytest.raises(KeyError):
        Candidate.of({"a": "w8"})["b"]


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a")])
def test_unsorted_or_repeated_names_are_refused(names):
    with pytest.raises(SpaceError, match="sorted and unique"):
        Candidate(tuple((name, 1) for name in names))


@pytest.mark.parametrize("text", ["{", "[1]", '"a"', '{"a": [1]}', '{"a": null}', '{"a": {"b": 1}}'])
def test_text_that_is_not_an_object_of_scalars_is_refused(text):
    with pytest.raises(SpaceError, match="JSON object"):
        Candidate.from_json(text)


def test_travels_between_processes_after_its_digest_was_taken():
    candidate = Candidate.of({"a": 1})
    assert candidate.digest
    assert pickle.loads(pickle.dumps(candidate)) == candidate


def test_frozen():
    with pytest.raises(AttributeError):
        Candidate.of({"a": 1}).assignment = ()


def test_json_is_json():
    assert json.loads(Candidate.of({"ä": 'quote"'}).json) == {"ä": 'quote"'}
