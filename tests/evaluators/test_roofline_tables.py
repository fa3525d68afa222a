from __future__ import annotations

import numpy as np
import pytest

from automl.core.rng import child_rng
from automl.evaluators.latency_design import draw_codes
from automl.evaluators.roofline import Roofline
from automl.evaluators.roofline_tables import roofline_tables
from automl.searchspaces.builders.precision import assignment_of
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.targets.devices import DEVICES
from tests.evaluators.traced_nets import decoder

OPTIONS = ("fp", "w8a8", "w8")
FLOAT = Dimension("float", "model", ("f32", "bf16"), "f32")


def sites():
    names = [s.name for s in decoder()[1].sites if s.op == "linear"]
    tied = Dimension("precision", names[0], OPTIONS, "fp", sites=tuple(names[:3]))
    return [tied, *(Dimension("precision", n, OPTIONS, "fp", sites=(n,)) for n in names[3:-1])]


@pytest.mark.parametrize("place", ["first", "last", "absent"])
def test_terms_add_up_to_the_roofline_of_every_candidate(place):
    rows = {"first": [FLOAT, *sites()], "last": [*sites(), FLOAT], "absent": sites()}[place]
    space, roofline = SearchSpace(tuple(rows)), Roofline(decoder()[1], DEVICES["a100"], batch=3)
    codes = draw_codes(space, 40, child_rng(1, place))
    terms = roofline_tables(roofline, space, float_type="bf16")
    expected = []
    for code in codes:
        precisions, float_type = assignment_of(space.decode(code), space)
        expected.append(roofline.latency_ms(precisions, "bf16" if place == "absent" else float_type))
    assert np.allclose(terms.predict(codes), expected, rtol=1e-12)
    assert len(set(expected)) > 10
