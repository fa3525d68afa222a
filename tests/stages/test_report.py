from __future__ import annotations

import json
import re

import pytest

from automl.core.errors import LedgerError
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
