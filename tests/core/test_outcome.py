from __future__ import annotations

import pytest

from automl.core.errors import ConfigError
from automl.core.outcome import SearchOutcome
from automl.core.outcome import StopReason
from automl.core.outcome import StopRule


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"seconds": 0.0}, {"stale_generations": -1}])
def test_stop_rule_that_never_lets_it_start_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        StopRule(**wrong)


def test_limits_that_are_absent_are_allowed():
    assert StopRule(trials=1, seconds=None, stale_generations=None).trials == 1


@pytest.mark.parametrize("reason", list(StopReason))
def test_a_search_was_interrupted_when_its_own_rules_did_not_end_it(reason):
    outcome = SearchOutcome((), (), (), None, None, reason, (), (), 0.0)
    assert outcome.interrupted is (reason in {StopReason.INTERRUPTED, StopReason.ERROR})
