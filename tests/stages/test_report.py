from __future__ import annotations

import json
import re

import pytest

from automl.core.errors import LedgerError
from automl.ledger import read_ledger
from automl.stages.report import rewrite_report


def embedded(path):
    text = path.read_text()
    found = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    return json.loads(found.group(1))


def test_the_page_carries_every_trial_and_the_confirmed_front(digits_run):
    data = embedded(digits_run.folder / "report.html")
    assert len(data["trials"]) == 14
    front = {t["digest"][:8] for t in data["trials"] if t["on_front"]}
    assert front == {f.id for f in digits_run.front} - {digits_run.answer.trial0.id} or front == {
        f.id for f in digits_run.front
    }
    assert sum(t["pick"] for t in data["trials"]) == 1
    assert data["sensitivity"]["options"]
    assert {name for name, _ in data["phases"]} == {"prepare", "price", "search", "confirm"}


def test_the_search_is_drawn_at_the_speed_of_the_confirmation(digits_run):
    data = embedded(digits_run.folder / "report.html")
    ledger = read_ledger(digits_run.folder / "ledger.journal", study_name=digits_run.folder.name)
    recorded = {t.number: t.measurement["latency_ms"].value for t in ledger.trials if t.measurement}
    base = digits_run.answer.trial0.measurement["latency_ms"].value
    drawn = {t["number"]: t["metrics"]["latency_ms"]["value"] for t in data["trials"] if not t["failure"]}
    searched = [t["number"] for t in data["trials"] if t["fidelity"] != "confirmed" and not t["failure"]]
    assert searched
    for number in searched:
        assert drawn[number] / base == pytest.approx(recorded[number] / recorded[0])


def test_every_front_member_shows_its_options_and_the_price_of_the_runner_up(digits_run):
    data = embedded(digits_run.folder / "report.html")
    for rows in data["choices"].values():
        assert {row["site"] for row in rows} >= {"stem", "head"}
        assert all(row["runner_up"] != row["option"] for row in rows)


def test_rewriting_gives_the_same_page(digits_run, tmp_path):
    path = rewrite_report(digits_run.folder, tmp_path / "r.html")
    assert path.read_text() == (digits_run.folder / "report.html").read_text()


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="no finished run"):
        rewrite_report(tmp_path, None)
