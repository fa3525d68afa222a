from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from automl.core.errors import MissingExtraError
from automl.core.errors import StrategyError
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.strategies import optuna_build
from automl.strategies.optuna_build import build_sampler
from automl.strategies.optuna_build import distributions_of
from automl.strategies.optuna_build import new_study
from automl.strategies.optuna_build import sampler_class
from automl.strategies.optuna_build import short_names


def test_every_sampler_that_can_be_built_has_a_short_name():
    assert {"tpe", "gp", "nsgaii", "nsgaiii", "cmaes", "qmc", "random", "bruteforce"} <= set(short_names())
    assert not {"base", "basega", "grid", "partialfixed"} & set(short_names())


@pytest.mark.parametrize("name", ["tpe", "TPE", "TPESampler", "tpesampler"])
def test_short_name_and_class_name_lead_to_the_class(name):
    assert sampler_class(name) is optuna.samplers.TPESampler


def test_an_unknown_sampler_is_told_the_nearest():
    with pytest.raises(
        StrategyError, match=r"unknown Optuna sampler 'nsga'; did you mean 'nsgaii'.*qmc.*tpe"
    ):
        sampler_class("nsga")


@pytest.mark.parametrize(
    ("name", "argument"), [("grid", "search_space"), ("PartialFixedSampler", "fixed_par")]
)
def test_a_sampler_that_needs_arguments_says_which(name, argument):
    with pytest.raises(StrategyError, match=f"cannot be built without {argument}.*choose one of.*tpe"):
        sampler_class(name)


@pytest.mark.parametrize("name", short_names())
def test_samplers_are_built_without_a_warning_at_any_seed(name):
    sampler = build_sampler(sampler_class(name), 2**63 - 1, 9)
    assert isinstance(sampler, sampler_class(name))


def test_a_missing_package_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(optuna_build, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"optuna:cmaes needs the package 'cmaes'.*pip install cmaes"):
        build_sampler(sampler_class("cmaes"), 0, 9)
    build_sampler(sampler_class("tpe"), 0, 9)


def test_cma_es_takes_ordered_options_as_whole_numbers_and_the_others_take_categories():
    space = SearchSpace(
        (Dimension("a", "x", ("u", "v", "w"), "u"), Dimension("b", "x", (1, 2), 1, ordinal=False))
    )
    cmaes = distributions_of(space, sampler_class("cmaes"))
    assert cmaes == {"a:x": IntDistribution(0, 2), "b:x": CategoricalDistribution((0, 1))}
    tpe = distributions_of(space, sampler_class("tpe"))
    assert tpe == {"a:x": CategoricalDistribution((0, 1, 2)), "b:x": CategoricalDistribution((0, 1))}


def test_a_new_study_minimizes_every_objective_and_says_nothing(capsys):
    study = new_study(3, build_sampler(sampler_class("random"), 0, 2))
    assert study.directions == [optuna.study.StudyDirection.MINIMIZE] * 3
    assert capsys.readouterr() == ("", "")
