"""The tiny model computes what its one convolution and one matrix product of ones must give."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from automl.targets.idle_model import idle_input
from automl.targets.idle_model import idle_model


def expected() -> float:
    """Return the mean over 8 x 8 positions of 4 channels times 9 taps, less the border, times 4 channels."""
    taps = 4 * (6 * 6 * 9 + 4 * 6 * 6 + 4 * 4)
    return taps / 64 * 4


def test_the_reference_implementation_agrees_with_the_count_of_taps() -> None:
    model = onnx.load_from_string(idle_model())
    onnx.checker.check_model(model, full_check=True)
    (output,) = ReferenceEvaluator(model).run(None, {"x": idle_input()})
    np.testing.assert_allclose(output, np.full((1, 4), expected()), rtol=1e-6)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_every_runtime_serves_it(runtime: str, tmp_path) -> None:
    from automl.targets.table import make_target

    file = tmp_path / "idle.onnx"
    file.write_bytes(idle_model())
    target = make_target(runtime, threads=1)
    try:
        (output,) = target.predict(file, [idle_input()], float_type="f32", batch=1)
    finally:
        target.close()
    np.testing.assert_allclose(output, np.full((1, 4), expected()), rtol=1e-5)
