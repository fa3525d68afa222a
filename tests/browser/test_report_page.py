"""The report as a browser sees it: what is drawn equals the data, and user text stays text."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from automl.artifact.report import write_page
from automl.artifact.report import write_report
from automl.artifact.report_data import ReportData
from automl.artifact.report_data import ReportTrial
from automl.core.measurement import Metric
from automl.core.served import ServedSite
from tests.artifact.runs import example_run
from tests.browser import chromium

pytestmark = pytest.mark.browser


class _Page(HTMLParser):
    """Collects what the tests ask of a dumped page: elements by class and id, and plain text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._skip = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._skip = tag in {"script", "style"}

    def handle_endtag(self, tag):
        self._skip = False

    def handle_data(self, data):
        if not self._skip:
            self.text.append(data)

    def having(self, word: str) -> list[dict[str, str]]:
        return [a for _, a in self.elements if word in (a.get("class") or "").split()]


def _open(tmp_path, data, fragment=""):
    path = write_report(data, tmp_path / "report.html")
    return _Page(chromium.run(path.as_uri() + fragment, tmp_path / "profile", "--dump-dom")[0])


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return _open(tmp_path_factory.mktemp("report"), example_run())


def test_page_is_drawn_to_its_end(page):
    body = next(a for tag, a in page.elements if tag == "body")
    assert body["data-ready"] == "1"


def test_every_measured_trial_is_one_point(page):
    measured = [t for t in example_run().trials if t.failure is None]
    drawn = [a for a in page.having("point") if "data-trial" in a]
    assert sorted(int(a["data-trial"]) for a in drawn) == sorted(t.number for t in measured)


def test_front_pick_and_budgets_are_marked(page):
    data = example_run()
    front = {t.number for t in data.trials if t.on_front}
    assert {int(a["data-trial"]) for a in page.having("front") if "data-trial" in a} == front
    assert [int(a["data-trial"]) for a in page.having("pick") if "data-trial" in a] == [55]
    assert len(page.having("budget")) == len(data.budgets)


def test_maps_and_checks_have_a_mark_for_each_value(page):
    data = example_run()
    assert len(page.having("map-row")) == len(data.choices)
    assert sum("data-heat" in a for _, a in page.elements) == 49 * 3
    assert sum("data-prediction" in a for _, a in page.elements) == len(data.prediction.points)


def test_the_pick_is_selected_at_first_and_the_address_selects_another(page, tmp_path):
    assert "Trial 55" in page.text
    other = _open(tmp_path, example_run(), "#trial=15")
    assert "Trial 15" in other.text
    assert "Trial 55" not in other.text
    assert "Sites of trial 15" in other.text
    assert [a["data-trial"] for a in other.having("map-row") if "on" in a["class"].split()] == ["15"]


def test_an_address_that_names_no_trial_falls_back_to_the_pick(tmp_path):
    assert "Trial 55" in _open(tmp_path, example_run(), "#trial=99999").text


def test_user_text_stays_text(tmp_path):
    hostile = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "{{data}} & \u2028")
    data = replace(example_run(title=hostile[0]), subtitle=hostile[1], notes=hostile, config=(hostile[:2],))
    page = _open(tmp_path, data)
    assert hostile[0] in page.text
    assert all(page.text.count(text) >= 1 for text in hostile)
    assert not [a for tag, a in page.elements if tag == "img"]
    assert sum(tag == "script" for tag, _ in page.elements) == 2


def test_a_run_of_trial_zero_alone_still_draws(tmp_path):
    whole = example_run()
    page = _open(tmp_path, ReportData("m", "s", whole.objectives, whole.trials[:1]))
    assert "Trial 0" in page.text
    assert next(a for tag, a in page.elements if tag == "body")["data-ready"] == "1"


def test_a_loss_that_trial_zero_does_not_have_still_draws(tmp_path):
    whole = example_run(n_trials=80)
    trials = tuple(
        replace(
            t, metrics={k: Metric(0.0) if t.number == 0 and k == "kl" else m for k, m in t.metrics.items()}
        )
        for t in whole.trials
    )
    page = _open(tmp_path, replace(whole, objectives=("latency_ms", "kl"), trials=trials))
    assert next(a for tag, a in page.elements if tag == "body")["data-ready"] == "1"
    assert "KL divergence, nat (lower is better)" in page.text


def test_a_run_whose_trials_all_failed_still_draws(tmp_path):
    page = _open(tmp_path, ReportData("m", "s", ("latency_ms", "kl"), (ReportTrial(0, "d", failure="lost"),)))
    assert "Trial 0 failed" in page.text
    assert next(a for tag, a in page.elements if tag == "body")["data-ready"] == "1"


def test_screenshot_has_the_asked_size_and_content(tmp_path):
    path = write_report(example_run(), tmp_path / "report.html")
    picture = tmp_path / "page.png"
    chromium.run(path.as_uri(), tmp_path / "profile", f"--screenshot={picture}", width=900, height=700)
    content = picture.read_bytes()
    assert struct.unpack(">II", content[16:24]) == (900, 700)
    # An empty page of this size compresses to a few kB.
    assert len(content) > 30_000


def _errors(path, profile):
    return re.findall(
        r"Uncaught[^\n]*|Refused to[^\n]*", chromium.run(path.as_uri(), profile, "--dump-dom")[1]
    )


def test_no_script_error_reaches_the_console(tmp_path):
    path = write_report(example_run(), tmp_path / "report.html")
    assert _errors(path, tmp_path / "profile") == []
    path.write_text(path.read_text().replace("(function page() {", "(function page() { missing();"))
    assert _errors(path, tmp_path / "profile") != []


def test_the_kernels_of_the_selected_trial_are_listed_with_the_reasons(tmp_path, page):
    data = example_run()
    pick = next(t.number for t in data.trials if t.pick)
    site = ServedSite(
        "head", "w8a8", "w8a8_linear", "cpu", "tensors <b>are</b> here", (("triton", "no GPU"),)
    )
    shown = _open(tmp_path, replace(data, served={pick: (site,)}))
    assert any(a.get("id") == "kernels" for _, a in shown.elements)
    text = " ".join(shown.text)
    assert "w8a8_linear" in text
    assert "tensors <b>are</b> here" in text
    assert "triton: no GPU" in text
    assert not any(a.get("id") == "kernels" for _, a in page.elements)


def test_learning_curves_are_drawn_an_axis_a_plot_with_titles_and_units(page):
    curves = example_run().curves
    text = " ".join(page.text)
    for curve in curves:
        assert f"Training: {curve.title}" in text
        for series in curve.series:
            assert series.axis in text
        assert page.text.count(curve.step) == len({s.axis for s in curve.series})
    lines = {a["data-curve"]: a for _, a in page.elements if "data-curve" in a}
    assert set(lines) == {s.name for curve in curves for s in curve.series}
    # sixty noisy rows get a running mean beside them, a dozen do not
    assert "raw" in lines["entropy"]["class"].split()
    assert "raw" not in lines["learned"]["class"].split()
    for curve in curves:
        assert all(lines[s.name]["d"].count("L") == len(curve.steps) - 1 for s in curve.series)


def test_data_from_before_there_were_curves_still_draws(tmp_path):
    body = example_run().to_json()
    del body["curves"]
    path = write_page(body, tmp_path / "report.html")
    assert _errors(path, tmp_path / "profile") == []
