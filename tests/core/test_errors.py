from __future__ import annotations

import pytest

from automl.core import errors


@pytest.mark.parametrize("name", [n for n in errors.__all__ if n.endswith("Error")])
def test_every_error_is_ours_and_refines_a_builtin(name):
    error = getattr(errors, name)
    assert issubclass(error, errors.AutomlError)
    if error is not errors.AutomlError:
        assert issubclass(error, (ValueError, RuntimeError, ImportError))
    assert error.__doc__


def test_budget_errors_are_configuration_errors():
    assert issubclass(errors.BudgetError, errors.ConfigError)


@pytest.mark.parametrize(
    ("name", "known", "nearest"),
    [
        ("latencyy", ["latency", "size"], "latency"),
        ("mb", ["KB", "MB", "MiB"], "MB"),
        ("Evolution", ["evolutionary", "exact"], "evolutionary"),
        ("zzz", ["latency", "size"], None),
        ("x", [], None),
    ],
)
def test_nearest_name_ignores_case(name, known, nearest):
    expected = f"; did you mean '{nearest}'?" if nearest else ""
    assert errors.did_you_mean(name, known) == expected


def test_sentence_names_the_value_the_nearest_and_all():
    assert errors.unknown_name("metric", "sizee", ["size", "kl"]) == (
        "unknown metric 'sizee'; did you mean 'size'? choose one of: kl, size"
    )
    assert errors.unknown_name("metric", "q", ["size", "kl"]) == (
        "unknown metric 'q'; choose one of: kl, size"
    )


def test_a_name_that_continues_the_given_one_is_the_nearest():
    known = ["avx2", "avx512_core_amx", "avx512_core"]
    assert errors.did_you_mean("avx512", known) == "; did you mean 'avx512_core'?"
