from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from automl.core.errors import EvaluationError
from automl.core.samples import Samples
from automl.evaluators.quality import PSNR_LIMIT_DB
from automl.evaluators.quality import QualityAccumulator
from automl.evaluators.quality import QualityReference
from automl.evaluators.quality import primary_metric
from automl.evaluators.quality import quality_targets
from automl.evaluators.quality import score


def _rng():
    return np.random.Generator(np.random.PCG64(0))


def _logits(n=40, classes=6, noise=0.8):
    rng = _rng()
    reference = rng.normal(0, 1, (n, classes)).astype(np.float32)
    outputs = (reference + noise * rng.normal(0, 1, reference.shape)).astype(np.float32)
    return outputs, reference, rng.integers(0, classes, n)


def test_labelled_classification_counts_hits():
    outputs, reference, labels = _logits()
    found = score("image-classification", outputs, reference, labels)
    assert set(found) == {"accuracy", "agreement", "kl", "drop"}
    assert found["accuracy"].value == pytest.approx((outputs.argmax(1) == labels).mean())
    assert found["agreement"].value == pytest.approx((outputs.argmax(1) == reference.argmax(1)).mean())
    lost = (reference.argmax(1) == labels).mean() - (outputs.argmax(1) == labels).mean()
    assert found["drop"].value == pytest.approx(lost)
    assert all(m.n == 40 for m in found.values())


def test_kl_agrees_with_torch():
    outputs, reference, _ = _logits()
    expected = functional.kl_div(
        torch.log_softmax(torch.tensor(outputs), 1),
        torch.log_softmax(torch.tensor(reference), 1),
        log_target=True,
        reduction="batchmean",
    )
    assert score("image-classification", outputs, reference)["kl"].value == pytest.approx(
        float(expected), rel=1e-5
    )


def test_unlabelled_drop_is_lost_agreement():
    outputs, reference, _ = _logits()
    found = score("image-classification", outputs, reference)
    assert set(found) == {"agreement", "kl", "drop"}
    assert found["drop"].value == pytest.approx(1 - found["agreement"].value)
    assert found["drop"].low == pytest.approx(1 - found["agreement"].high)


def test_untouched_model_loses_nothing():
    _, reference, labels = _logits()
    found = score("image-classification", reference, reference, labels)
    assert (found["drop"].value, found["agreement"].value, found["kl"].value) == (0.0, 1.0, 0.0)
    assert found["drop"].low < 0 < found["drop"].high


def test_a_better_candidate_has_a_negative_drop():
    labels = np.zeros(10, dtype=np.int64)
    right, wrong = np.tile([2.0, 0.0], (10, 1)), np.tile([0.0, 2.0], (10, 1))
    assert score("image-classification", right, wrong, labels)["drop"].value == -1.0


def _language(n=5, tokens=200, vocabulary=30):
    rng = _rng()
    ids = rng.integers(0, vocabulary, (n, tokens))
    reference = rng.normal(0, 1, (n, tokens, vocabulary)).astype(np.float32)
    return reference + rng.normal(0, 0.3, reference.shape).astype(np.float32), reference, ids


def test_perplexity_agrees_with_torch_cross_entropy():
    outputs, reference, ids = _language()
    found = score("causal-lm", outputs, reference, ids)

    def perplexity(logits):
        flat = torch.tensor(logits)[:, :-1].flatten(0, 1)
        return float(functional.cross_entropy(flat, torch.tensor(ids)[:, 1:].flatten()).exp())

    assert found["perplexity"].value == pytest.approx(perplexity(outputs), rel=1e-5)
    assert found["drop"].value == pytest.approx(perplexity(outputs) / perplexity(reference) - 1, rel=1e-4)
    assert found["perplexity"].low < found["perplexity"].value < found["perplexity"].high
    same = (outputs.argmax(-1) == reference.argmax(-1))[:, :-1].mean()
    assert found["agreement"].value == pytest.approx(same)


def test_untouched_language_model_has_no_drop():
    _, reference, ids = _language()
    found = score("causal-lm", reference, reference, ids)
    assert (found["drop"].value, found["kl"].value) == (0.0, 0.0)


@pytest.mark.parametrize("task", ["image-classification", "causal-lm", "encoder", "generic"])
def test_batches_give_the_result_of_the_whole(task):
    if task == "causal-lm":
        outputs, reference, labels = _language()
    else:
        outputs, reference, labels = _logits()
        labels = labels if task == "image-classification" else None
    accumulator = QualityAccumulator(task, labels)
    for start in range(0, len(outputs), 3):
        accumulator.update(outputs[start : start + 3], reference[start : start + 3])
    assert accumulator.result() == score(task, outputs, reference, labels)


def test_encoder_reports_cosine_and_its_loss():
    outputs, reference, _ = _logits()
    found = score("encoder", outputs, reference)
    expected = functional.cosine_similarity(torch.tensor(outputs), torch.tensor(reference)).mean()
    assert set(found) == {"cosine", "drop"}
    assert found["cosine"].value == pytest.approx(float(expected), rel=1e-5)
    assert found["drop"].value == pytest.approx(1 - float(expected), rel=1e-4)


def test_generic_psnr_uses_the_range_of_the_reference():
    reference = np.zeros((2, 1, 4, 4), dtype=np.float32)
    reference[0, 0, 0, 0] = 10.0
    found = score("generic", reference + 0.1, reference)
    assert found["psnr_db"].value == pytest.approx(40.0, abs=1e-3)
    assert score("generic", reference, reference)["psnr_db"].value == PSNR_LIMIT_DB


@pytest.mark.parametrize("task", ["image-classification", "encoder", "generic", "causal-lm"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_outputs_fail(task, bad):
    outputs, reference, labels = _language() if task == "causal-lm" else _logits()
    outputs[0, 0] = bad
    with pytest.raises(EvaluationError, match="NaN or infinite"):
        score(task, outputs, reference, labels if task == "causal-lm" else None)


@pytest.mark.parametrize(
    ("task", "outputs", "reference", "labels", "says"),
    [
        ("image-classification", np.zeros((2, 3)), np.zeros((2, 4)), None, "of shape"),
        ("image-classification", np.zeros((2, 3, 1)), np.zeros((2, 3, 1)), None, "must have shape"),
        ("image-classification", np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(5, np.int64), "one label"),
        ("causal-lm", np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), None, "token numbers"),
        ("causal-lm", np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), np.zeros((2, 5), np.int64), "tokens"),
        ("encodr", np.zeros((2, 3)), np.zeros((2, 3)), None, "did you mean 'encoder'"),
        ("encoder", np.zeros((0, 3)), np.zeros((0, 3)), None, "at least one sample"),
    ],
)
def test_what_cannot_be_scored_is_said(task, outputs, reference, labels, says):
    with pytest.raises(EvaluationError, match=says):
        score(task, outputs, reference, labels)


def test_more_outputs_than_labels_fail():
    accumulator = QualityAccumulator("image-classification", np.zeros(3, dtype=np.int64))
    accumulator.update(np.zeros((2, 4)), np.zeros((2, 4)))
    with pytest.raises(EvaluationError, match="more than 3 samples"):
        accumulator.update(np.zeros((2, 4)), np.zeros((2, 4)))


def test_reference_scores_a_prefix():
    outputs, reference, labels = _logits()
    kept = QualityReference("image-classification", reference, labels)
    assert kept.score(outputs[:7]) == score("image-classification", outputs[:7], reference[:7], labels[:7])


def test_primary_metric_follows_task_and_labels():
    assert primary_metric("image-classification", True) == "accuracy"
    assert primary_metric("image-classification", False) == "agreement"
    assert primary_metric("causal-lm", False) == "perplexity"
    assert primary_metric("encoder", False) == primary_metric("generic", False) == "cosine"
    with pytest.raises(EvaluationError, match="unknown task"):
        primary_metric("speech", False)


def test_targets_are_tokens_for_language_models_and_labels_otherwise():
    ids = np.arange(6).reshape(2, 3)
    samples = Samples((ids,), np.array([4, 5]))
    np.testing.assert_array_equal(quality_targets("causal-lm", samples), ids)
    np.testing.assert_array_equal(quality_targets("image-classification", samples), [4, 5])
