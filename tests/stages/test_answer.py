from __future__ import annotations

import json
from dataclasses import replace

import pytest

from automl.core.budget import parse_budget
from automl.core.candidate import Candidate
from automl.core.curve import CurveSeries
from automl.core.curve import LearningCurve
from automl.core.errors import LedgerError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.served import ServedSite
from automl.stages.answer import Answer
from automl.stages.answer import Member
from automl.stages.answer import read_answer
from automl.stages.answer import write_answer


def member(name, accuracy, latency, held=True):
    metrics = {"accuracy": Metric(accuracy, "", accuracy - 0.01, accuracy + 0.01, 100)}
    metrics["latency_ms"] = Metric(latency, "ms", latency, latency + 0.1, 40)
    served = (ServedSite("a", "w8a8", "w8a8_linear", "cpu", "a reason", (("triton", "no GPU"),)),)
    candidate = Candidate.of({"precision:a": name})
    return Member(name, candidate, Measurement(metrics), {"latency=5ms": held}, "", served)


def an_answer(best="aa11"):
    front = (member("aa11", 0.9, 4.0), member("bb22", 0.8, 3.0))
    return Answer(
        primary="accuracy",
        target={"name": "openvino"},
        trial0=member("0000", 0.91, 9.0, held=False),
        defaults=(member("dddd", 0.91, 6.0, held=False),),
        front=front if best else (),
        best=best,
        nearest=() if best else front,
        budgets=(parse_budget("latency=5ms"),),
        reachable={} if best else {"latency_ms": (3.0, 9.0)},
        stopped_by="trials",
        notes=("a note",),
        curves=(
            LearningCurve(
                "policy", "a hint", "updates", (0.0, 1.0), (CurveSeries("r", "r, std", (0.5, 2.0)),)
            ),
        ),
    )


@pytest.mark.parametrize("best", ["aa11", None])
def test_round_trip_through_the_run_folder(tmp_path, best):
    write_answer(tmp_path, an_answer(best))
    assert read_answer(tmp_path) == an_answer(best)


def test_member_is_found_by_the_start_of_its_id():
    assert an_answer().member("bb").id == "bb22"


def test_a_runtime_default_on_the_front_is_found_with_its_artifact():
    found = replace(member("dddd", 0.91, 6.0), artifact="models/dddd")
    answer = an_answer()
    answer = replace(answer, front=(*answer.front, found))
    assert answer.member("dddd").artifact == "models/dddd"


@pytest.mark.parametrize("name", ["", "zz"])
def test_a_name_that_fits_none_lists_what_there_is(name):
    with pytest.raises(LedgerError, match="aa11, bb22"):
        an_answer().member(name)


def test_unfinished_run_says_how_to_finish(tmp_path):
    (tmp_path / "config.yaml").write_text("model: m\n")
    with pytest.raises(LedgerError, match="automl resume"):
        read_answer(tmp_path)


def test_damaged_and_foreign_answers_are_refused(tmp_path):
    file = tmp_path / "answer.json"
    file.write_text("{")
    with pytest.raises(LedgerError, match="damaged"):
        read_answer(tmp_path)
    file.write_text(json.dumps({"schema": 99}))
    with pytest.raises(LedgerError, match="schema 99"):
        read_answer(tmp_path)


def test_feasible_means_every_budget_holds():
    assert member("a", 0.9, 4.0).feasible
    assert not member("a", 0.9, 4.0, held=False).feasible


def test_an_answer_of_before_kernels_were_told_is_read(tmp_path):
    body = an_answer().to_json()
    for row in (body["trial0"], *body["defaults"], *body["front"]):
        del row["served"]
    (tmp_path / "answer.json").write_text(json.dumps(body))
    assert read_answer(tmp_path).front[0].served == ()


def test_an_answer_from_before_there_were_curves_is_read(tmp_path):
    write_answer(tmp_path, an_answer())
    stored = json.loads((tmp_path / "answer.json").read_text())
    del stored["curves"]
    (tmp_path / "answer.json").write_text(json.dumps(stored))
    assert read_answer(tmp_path) == replace(an_answer(), curves=())
