from __future__ import annotations

import pytest

from automl.config import make_config
from automl.core.errors import ConfigError
from automl.stages.events import silent
from automl.stages.prepare import allowed_options
from automl.stages.prepare import prepare
from automl.stages.prepare import restrict
from automl.stages.prepare import timing_inputs
from automl.targets.base import Legality


def test_low_bits_join_only_when_bytes_are_limited_or_named():
    assert "w4a8" not in allowed_options(make_config({"model": "m", "budget": "latency=5ms"}))
    assert "w4a8" in allowed_options(make_config({"model": "m", "budget": "size=1MB"}))
    assert allowed_options(make_config({"model": "m", "options": ["w4a8"]})) == {"fp", "w4a8"}


def test_unknown_option_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'w8a8'"):
        allowed_options(make_config({"model": "m", "options": ["w8a9"]}))


def test_what_is_left_out_is_struck_with_the_reason():
    legality = Legality({"a": ("fp", "w8a8", "w4a8")}, (), (("a", "w8", "no kernel"),), ("f32",))
    kept = restrict(legality, frozenset({"fp", "w8a8"}))
    assert kept.options == {"a": ("fp", "w8a8")}
    assert ("a", "w8", "no kernel") in kept.struck
    assert any(row[:2] == ("a", "w4a8") for row in kept.struck)


def test_unknown_space_is_refused_before_anything_is_loaded(tmp_path):
    config = make_config({"model": "nothing", "space": "precison"})
    with pytest.raises(ConfigError, match="did you mean 'precision'"):
        prepare(config, tmp_path, tmp_path, silent)


def test_a_workbench_offers_every_site_of_the_network(bench):
    names = {s.name for s in bench.traced.graph.sites}
    assert {"stem", "blocks.0.conv1", "blocks.1.conv2", "head"} <= names
    assert all("w4a8" in options for options in bench.legality.options.values())
    assert timing_inputs(bench)[0].shape == (1, 1, 8, 8)
