from __future__ import annotations

import json
import shutil

from automl.api import resume_run
from automl.evaluators.roofline import Roofline
from automl.ledger import read_ledger
from automl.searchspaces.trace import trace_model
from automl.targets.devices import DEVICES
from tests.digits import build


def test_the_ledger_starts_with_the_untouched_model_and_the_uniform_configurations(digits_run):
    view = read_ledger(digits_run.folder / "ledger.journal", study_name=digits_run.folder.name)
    assert [t.number for t in view.trials] == list(range(len(view.trials)))
    assert view.trials[0].origin == "baseline"
    assert len(view.trials) == 14
    assert any(t.origin.startswith("uniform w8a8") for t in view.trials)


def test_everything_a_run_promises_lies_in_its_folder(digits_run):
    folder = digits_run.folder
    for name in ("config.yaml", "ledger.journal", "answer.json", "report.html"):
        assert (folder / name).is_file(), name
    for found in digits_run.front:
        assert (folder / "models" / found.id / "manifest.json").is_file()


def test_relative_budgets_are_resolved_against_the_confirmed_untouched_model(digits_run):
    answer = digits_run.answer
    latency = next(b for b in answer.budgets if b.metric == "latency_ms")
    assert latency.limit == 1.5 * answer.trial0.measurement["latency_ms"].value
    assert answer.primary == "accuracy"


def test_an_estimated_run_measures_no_latency_anywhere(estimated_run):
    view = read_ledger(estimated_run.folder / "ledger.journal", study_name=estimated_run.folder.name)
    answer = estimated_run.answer
    measured = [t.measurement for t in view.trials if t.measurement is not None]
    confirmed = [m.measurement for m in (answer.trial0, *answer.defaults, *answer.front)]
    assert len(confirmed) > 2
    for measurement in (*measured, *confirmed):
        assert "estimated_latency_ms" in measurement
        assert not {"latency_ms", "latency_p95_ms", "predicted_latency_ms"} & set(measurement)
    assert not (estimated_run.folder / "nominal_ms.json").exists()


def test_an_estimated_budget_limits_the_estimate(estimated_run):
    answer = estimated_run.answer
    budget = next(b for b in answer.budgets if b.text == "latency=0.8x")
    assert budget.metric == "estimated_latency_ms"
    assert budget.limit == 0.8 * answer.trial0.measurement["estimated_latency_ms"].value
    assert all(m.measurement["estimated_latency_ms"].value <= budget.limit for m in answer.front)


def test_an_estimate_is_the_roofline_of_its_device(estimated_run):
    answer = estimated_run.answer
    assert answer.target["estimate"]["device"] == "a100"
    untouched = answer.trial0.measurement["estimated_latency_ms"]
    graph = trace_model(*_untraced()).graph
    assert untouched.value == Roofline(graph, DEVICES["a100"]).latency_ms({}, "f32")


def test_an_estimate_is_labelled_in_report_card_and_manifest(estimated_run):
    folder = estimated_run.folder
    body = json.loads((folder / "report.json").read_text())
    assert body["estimate"] == "NVIDIA A100 40 GB"
    assert body["objectives"][0] == "estimated_latency_ms"
    assert body["metrics"]["estimated_latency_ms"]["label"] == "latency (estimated)"
    member = folder / estimated_run.best.member.artifact
    card = (member / "README.md").read_text()
    assert "latency estimated" in card
    assert "estimated, not measured" in card
    manifest = json.loads((member / "manifest.json").read_text())
    assert any("estimated, not measured" in note for note in manifest["notes"])


def test_an_estimated_run_resumes_to_the_same_answer(estimated_run, tmp_path):
    again = shutil.copytree(estimated_run.folder, tmp_path / estimated_run.folder.name)
    resumed = resume_run(again)
    assert [m.id for m in resumed.answer.front] == [m.id for m in estimated_run.answer.front]


def _untraced():
    module, example = build()
    return module, (example,)
