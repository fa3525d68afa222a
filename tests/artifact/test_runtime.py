from __future__ import annotations

import numpy as np
import pytest

from automl.artifact.runtime import open_runner
from automl.core.errors import ArtifactError
from automl.core.errors import DataError
from tests.artifact.models import INPUTS
from tests.artifact.models import quantized_model
from tests.artifact.models import reference_output
from tests.artifact.models import settings_of


def _runner(batch="n", target="openvino", float_type="f32"):
    return open_runner(
        quantized_model(batch=batch), target, float_type=float_type, threads=1, settings=settings_of(target)
    )


@pytest.mark.parametrize("target", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_fixed_batch_takes_any_number_of_samples(target, count):
    x = np.random.default_rng(count).normal(size=(count, INPUTS)).astype(np.float32)
    (y,) = _runner(batch=2, target=target).run((x,))
    np.testing.assert_allclose(y, reference_output(quantized_model(), x), rtol=1e-4, atol=1e-4)


def test_bf16_is_obeyed():
    x = np.random.default_rng(0).normal(size=(4, INPUTS)).astype(np.float32)
    (full,), (half,) = _runner().run((x,)), _runner(float_type="bf16").run((x,))
    # bf16 keeps 8 bits of mantissa; machines without it may compute in f32 all the same.
    np.testing.assert_allclose(half, full, rtol=0.1, atol=0.3)
    assert half.dtype == np.float32


def test_settings_reach_the_runtime():
    with pytest.raises(ArtifactError, match="OpenVINO refuses"):
        open_runner(quantized_model(), "openvino", float_type="f32", threads=1, settings={"NO_SUCH_KEY": "1"})


def test_outputs_of_two_runs_do_not_share_memory():
    runner = _runner()
    (first,) = runner.run((np.ones((1, INPUTS), np.float32),))
    kept = first.copy()
    runner.run((np.zeros((1, INPUTS), np.float32),))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ((np.ones((2, 7), np.float32),), r"must have shape \(n, 48\); got \(2, 7\)"),
        ((np.ones((48,), np.float32),), "must have shape"),
        ((np.ones((0, 48), np.float32),), "above zero"),
        ((np.ones((1, 48), np.complex64),), "must be float32; got complex64"),
        ((np.ones((1, 48)), np.ones((1, 48))), "takes 1 inputs"),
    ],
)
def test_wrong_inputs_are_named(inputs, words):
    with pytest.raises(DataError, match=words):
        _runner().run(inputs)


def test_an_unknown_runtime_is_named():
    with pytest.raises(ArtifactError, match="did you mean 'openvino'"):
        _runner(target="openvno")


def test_bf16_on_onnxruntime_is_refused():
    with pytest.raises(ArtifactError, match="computes in f32"):
        _runner(target="onnxruntime", float_type="bf16")
