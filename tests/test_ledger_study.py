from __future__ import annotations

import optuna

from automl.ledger_study import DatabaseStudy
from tests.test_ledger_journal import DIRECTIONS
from tests.test_ledger_journal import frozen


def test_a_database_gives_back_what_it_was_given(tmp_path):
    url = f"sqlite:///{tmp_path}/l.db"
    study = DatabaseStudy(optuna.storages.RDBStorage(url), "run")
    assert not study.find()
    study.create(DIRECTIONS)
    study.set_attribute("key", {"x": [1]})
    assert not study.has_trials
    assert [study.add(frozen(number)) for number in range(3)] == [0, 1, 2]
    again = DatabaseStudy(optuna.storages.RDBStorage(url), "run")
    assert again.find()
    assert again.has_trials
    assert again.attributes == {"key": {"x": [1]}}
    trials = list(again.trials())
    assert [t.record["number"] for t in trials] == [0, 1, 2]
    assert trials[0].params == {"a": "fp", "b": 0.5}
    assert trials[0].choices == {"a": ("w8", "fp"), "b": (1.0, 0.5)}
    assert again.stored(2) == trials[2]
    assert again.stored(3) is None
