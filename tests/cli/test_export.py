from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from automl.stages.answer import write_answer
from tests.digits import N_TRAIN
from tests.digits import digits


def test_the_best_is_written_as_onnx_that_runs(shell, digits_run, tmp_path):
    file = tmp_path / "m.onnx"
    said = shell("export", digits_run.folder, "best", file)
    assert said.code == 0
    assert str(file) in said.out.replace("\n", "")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    images, labels = digits()
    batch = images[N_TRAIN : N_TRAIN + 1]
    (logits,) = session.run(None, {session.get_inputs()[0].name: batch})[:1]
    assert np.isfinite(logits).all()
    assert logits.argmax() == labels[N_TRAIN]


@pytest.mark.parametrize(("to", "name"), [("openvino", "m.xml"), ("torch", "m.pt2")])
def test_other_formats_are_written(shell, digits_run, tmp_path, to, name):
    said = shell("export", digits_run.folder, digits_run.best.id, tmp_path / name, "--to", to)
    assert said.code == 0
    assert (tmp_path / name).stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("best", "m.bin", "--to", "onx"), "did you mean 'onnx'"),
        (("zzzz", "m.onnx"), "no single model 'zzzz'"),
    ],
)
def test_what_cannot_be_exported_is_refused(shell, digits_run, tmp_path, arguments, says):
    member, name, *rest = arguments
    said = shell("export", digits_run.folder, member, tmp_path / name, *rest)
    assert said.code == 2
    assert says in said.err
    assert said.err.count("\n") == 1


def test_best_of_a_run_without_one_is_refused(shell, infeasible_folder, tmp_path):
    said = shell("export", infeasible_folder, "best", tmp_path / "m.onnx")
    assert said.code == 2
    assert "no model within its hard budgets" in said.err


def test_a_runtime_default_without_an_artifact_is_refused(shell, digits_run, tmp_path):
    answer = digits_run.answer
    bare = replace(answer.trial0, id="beef0000", artifact="")
    write_answer(tmp_path, replace(answer, defaults=(bare,)))
    said = shell("export", tmp_path, "beef", tmp_path / "m.onnx")
    assert said.code == 2
    assert "has no artifact" in said.err
