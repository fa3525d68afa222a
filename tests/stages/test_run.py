from __future__ import annotations

from automl.ledger import read_ledger


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
