from __future__ import annotations

import pickle
from functools import partial

import numpy as np

from automl.core.trial import Fidelity
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.execute import Shipped
from automl.stages.execute import build_worker
from automl.stages.shipment import mark_folder
from automl.stages.shipment import pack
from automl.stages.shipment import sees_folder
from automl.stages.shipment import unpack


def returned(value):
    return value


def test_what_travelled_evaluates_as_the_drivers_workbench_does(bench, evaluator, shared_cache, tmp_path):
    shipment = pickle.loads(pickle.dumps(pack(bench, shared_cache, "m")))
    there = unpack(shipment, bench.config, tmp_path)
    assert there.key == bench.key
    assert there.space == bench.space
    assert there.folder.is_relative_to(tmp_path)
    candidate = bench.space.uniform("precision", "w8a8")
    other = CandidateEvaluator(there, nominal_ms=1.0)
    files = [e.write(candidate) for e in (evaluator, other)]
    samples = bench.data.evaluation
    here, elsewhere = evaluator.predict(files[0], "f32", samples), other.predict(files[1], "f32", samples)
    for file in files:
        file.unlink()
    np.testing.assert_allclose(here[0], elsewhere[0], atol=1e-5)


def test_a_cache_that_holds_nothing_is_no_hindrance(bench, tmp_path):
    shipment = pack(bench, tmp_path / "empty", "m")
    assert unpack(shipment, bench.config, tmp_path).key == bench.key


def test_a_folder_is_seen_by_its_mark_alone(tmp_path):
    mark = mark_folder(tmp_path)
    assert sees_folder(tmp_path, mark)
    assert not sees_folder(tmp_path, "of another run")
    assert not sees_folder(tmp_path / "elsewhere", mark)


def test_a_worker_builds_from_what_was_shipped_only_where_it_does_not_see_the_folder(
    bench, shared_cache, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shipped = Shipped("m", partial(returned, pack(bench, shared_cache, "m")))
    none = tmp_path / "not there"
    # The configuration names a model that does not exist here: only what travelled can be used.
    config = bench.config.model_copy(update={"model": "nowhere:build", "data": "nowhere.npz"})
    made = build_worker(config, none, none, 1.0, bench.key, shipped)
    assert made.bench.folder.is_relative_to(tmp_path)
    assert not none.exists()
    measured = made.evaluate(bench.space.default, Fidelity.SUBSET, ("quality",))
    assert measured["drop"].value == 0.0
    near = build_worker(
        bench.config, bench.folder, shared_cache, 1.0, bench.key, Shipped(mark_folder(bench.folder), None)
    )
    assert near.bench.folder == bench.folder
