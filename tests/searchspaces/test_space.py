import numpy as np
import pytest

from automl.core.errors import SpaceError
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import Condition
from automl.searchspaces.space import SearchSpace


def space() -> SearchSpace:
    return SearchSpace(
        (
            Dimension("use", "a", (False, True), False, ordinal=False),
            Dimension("bits", "a", (8, 4, 2), 8),
            Dimension("op", "b", ("x", "y", "z"), "x", ordinal=False),
        ),
        (Condition("bits:a", "use:a", (True,)),),
    )


def test_samples_are_valid_reproducible_and_cover_every_option():
    s = space()
    codes = s.sample(np.random.default_rng(0), 300)
    assert np.array_equal(codes, s.sample(np.random.default_rng(0), 300))
    assert [len(set(c)) for c in codes.T] == [2, 3, 3]
    for code in codes[:50]:
        s.validate(s.decode(code))


def test_codes_and_candidates_are_inverse():
    s = space()
    codes = s.sample(np.random.default_rng(1), 40)
    assert np.array_equal(s.encode([s.decode(c) for c in codes]), codes)


def test_repair_sets_inactive_dimensions_and_clips():
    s = space()
    assert s.repair(np.array([[0, 2, 9], [1, 2, -3]])).tolist() == [[0, 0, 2], [1, 2, 0]]


def test_neighbours_differ_in_one_decision_and_exclude_the_code():
    s = space()
    near = s.neighbours(np.array([1, 1, 0])).tolist()
    assert sorted(near) == [[0, 0, 0], [1, 0, 0], [1, 1, 1], [1, 1, 2], [1, 2, 0]]


def test_an_inactive_choice_is_not_valid_until_repaired():
    s = space()
    with pytest.raises(SpaceError, match="repair"):
        s.validate(s.decode(np.array([0, 1, 0])))


def test_uniform_and_changes_start_from_the_default():
    s = space()
    assert s.uniform("op", "z").as_dict == {"use:a": False, "bits:a": 8, "op:b": "z"}
    assert s.with_options({"use:a": True, "bits:a": 2})["bits:a"] == 2
    with pytest.raises(SpaceError, match="unknown dimension"):
        s.with_options({"bit:a": 2})


def test_size_and_fingerprint_follow_the_content():
    s = space()
    assert s.log10_size == pytest.approx(np.log10(18))
    assert s.fingerprint == space().fingerprint
    assert s.fingerprint != SearchSpace(s.dimensions).fingerprint


def test_malformed_spaces_are_refused():
    d = space().dimensions
    with pytest.raises(SpaceError, match="no dimension"):
        SearchSpace(())
    with pytest.raises(SpaceError, match="unique"):
        SearchSpace((d[0], d[0]))
    with pytest.raises(SpaceError, match="must come earlier"):
        SearchSpace(d, (Condition("use:a", "op:b", ("x",)),))
    with pytest.raises(SpaceError, match="lacks dimension"):
        space().encode([SearchSpace(d[:1]).default])
