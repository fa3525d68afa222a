"""Every target that serves models here passes the suite, and each planted fault fails the test beside it."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper

from automl.core.errors import ConfigError
from automl.core.errors import EvaluationError
from automl.targets.base import Footprint
from automl.targets.base import NodeProfile
from automl.targets.base import TargetInfo
from automl.targets.deployable import Deployable
from automl.targets.fingerprint import machine_fingerprint
from automl.targets.legality import cpu_legality
from automl.targets.onnxruntime_target import ONNXRUNTIME_RULES
from automl.targets.onnxruntime_target import OnnxRuntimeTarget
from automl.targets.openvino_target import OpenVinoTarget
from automl.targets.qdq import apply_plan
from automl.targets.qdq import packed_bits
from automl.targets.timing import summarize
from automl.targets.torch_cpu import TorchTarget
from automl.targets.triton_gpu import TritonTarget
from automl.testing.target_suite import TargetSuite
from automl.testing.target_suite import WorkerTargetSuite
from automl.testing.target_suite import is_sentence
from automl.testing.tiny_model import tiny_model

if TYPE_CHECKING:
    from pathlib import Path


class TestOpenVino(WorkerTargetSuite):
    def make(self, *, threads=1, batch=1):
        return OpenVinoTarget(threads=threads, batch=batch)


class TestOnnxRuntime(WorkerTargetSuite):
    def make(self, *, threads=1, batch=1):
        return OnnxRuntimeTarget(threads=threads, batch=batch)


class TestTorch(WorkerTargetSuite):
    def make(self, *, threads=1, batch=1):
        return TorchTarget(threads=threads, batch=batch)


class TestTritonInterpreter(WorkerTargetSuite):
    times = False
    remembers = False

    def make(self, *, threads=1, batch=1):
        return TritonTarget(threads=threads, batch=batch)


class Simulated:
    """A target as a third party might write one: no worker, and a clock that counts bytes of weights.

    It keeps to the protocol alone and shares no code with the targets of the table.
    """

    suffix = ".onnx"
    rules = ONNXRUNTIME_RULES

    def __init__(self, threads=1, batch=1):
        if threads < 1 or batch < 1:
            raise ConfigError(
                f"threads are {threads} and batch is {batch}; both must be positive: give at least 1"
            )
        self.run_order = ()

    def info(self):
        machine = machine_fingerprint(runtime="simulated 1", threads=1, isa=None)
        return TargetInfo("simulated", "simulated 1", "paper", 1, ("f32",), "f32", machine)

    def legality(self, graph):
        return cpu_legality(graph, ("f32",))

    def deployable(self, traced, base, plan):
        model = apply_plan(base, plan, "onnxruntime")
        return Deployable(model, packed_bits(plan, model))

    def _load(self, path: Path, float_type, inputs):
        if float_type != "f32":
            raise EvaluationError(f"unknown float type '{float_type}'; known: f32; choose it")
        if not path.exists():
            raise EvaluationError(f"there is no model file '{path}'; write it first")
        if len({len(a) for a in inputs}) != 1 or not len(inputs[0]):
            raise EvaluationError("inputs hold no common number of samples; give one or more in each")
        try:
            return onnxruntime.InferenceSession(path)
        except Exception as error:
            raise EvaluationError(
                f"{path} cannot be loaded ({type(error).__name__}); write it again"
            ) from error

    def predict(self, model, inputs, *, float_type, batch):
        loaded = self._load(model, float_type, inputs)
        names = [i.name for i in loaded.get_inputs()]
        starts = range(0, len(inputs[0]), batch)
        parts = [
            loaded.run(None, {n: a[i : i + batch] for n, a in zip(names, inputs, strict=True)})
            for i in starts
        ]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def time(self, models, inputs, *, repeats):
        if repeats < 1:
            raise EvaluationError(f"repeats are {repeats}; ask for at least one")
        for path, float_type in models:
            self._load(path, float_type, inputs)
        self.run_order = tuple(itertools.chain(*[range(len(models))] * repeats))
        return [summarize([path.stat().st_size / 1e6] * repeats) for path, _ in models]

    def profile(self, model, inputs, *, float_type, repeats):
        self._load(model, float_type, inputs)
        return [NodeProfile("all", "Model", "f32", model.stat().st_size / 1e6)]

    def memory(self, model, inputs, *, float_type, processes):
        if processes < 1:
            raise EvaluationError(f"processes are {processes}; ask for at least one")
        self._load(model, float_type, inputs)
        return [Footprint(model.stat().st_size)] * processes

    def close(self):
        pass


class TestSimulated(TargetSuite):
    def make(self, *, threads=1, batch=1):
        return Simulated(threads, batch)


class Boastful(Simulated):
    """Calls everything legal."""

    def legality(self, graph):
        return cpu_legality(graph, ("f32",), lambda site, option: None)


class Silent(Simulated):
    """Strikes without a reason."""

    def legality(self, graph):
        found = super().legality(graph)
        return replace(found, struck=tuple((site, option, "") for site, option, _ in found.struck))


class Forgetful(Simulated):
    """Strikes options and does not tell which."""

    def legality(self, graph):
        return replace(super().legality(graph), struck=())


class Lazy(Simulated):
    """Serves the untouched model whatever the plan says."""

    def deployable(self, traced, base, plan):
        return Deployable(base.to_model())


class Coarse(Simulated):
    """Loses a quarter of the first weight's codes."""

    def deployable(self, traced, base, plan):
        made = super().deployable(traced, base, plan)
        for tensor in made.model.graph.initializer:
            held = numpy_helper.to_array(tensor)
            if held.dtype == np.int8 and held.ndim == 4:
                tensor.CopyFrom(numpy_helper.from_array((held // 64 * 64).astype(np.int8), tensor.name))
        return made


class Turned(Simulated):
    """Gives the outputs of a batch in the wrong order."""

    def predict(self, model, inputs, *, float_type, batch):
        step = [a[::-1].copy() if batch < len(a) else a for a in inputs]
        return super().predict(model, step, float_type=float_type, batch=batch)


class OneAfterAnother(Simulated):
    """Times each model on its own."""

    def time(self, models, inputs, *, repeats):
        found = super().time(models, inputs, repeats=repeats)
        self.run_order = tuple(sorted(self.run_order))
        return found


class Miscounting(Simulated):
    """Takes one run less than it was asked for."""

    def time(self, models, inputs, *, repeats):
        return super().time(models, inputs, repeats=max(1, repeats - 1))


class Frozen(Simulated):
    """Has a clock that stands still."""

    def time(self, models, inputs, *, repeats):
        return [replace(t, low_ms=0.0) for t in super().time(models, inputs, repeats=repeats)]


class Nameless(Simulated):
    """Does not say what it runs on."""

    def info(self):
        return replace(super().info(), device="")


class Drifting(Simulated):
    """Has another fingerprint each time it is asked."""

    count = itertools.count()

    def info(self):
        found = super().info()
        return replace(found, machine={**found.machine, "asked": next(self.count)})


class Unstable(Simulated):
    """Writes the same candidate differently each time."""

    count = itertools.count()

    def deployable(self, traced, base, plan):
        made = super().deployable(traced, base, plan)
        made.model.doc_string = str(next(self.count))
        return made


class Careless(Simulated):
    """Lets errors of its runtime through."""

    def _load(self, path, float_type, inputs):
        return onnxruntime.InferenceSession(path)


class Permissive(Simulated):
    """Takes any number of threads."""

    def __init__(self, threads=1, batch=1):
        super().__init__()


class Leaky(Simulated):
    """Tells of one process whatever was asked for."""

    def memory(self, model, inputs, *, float_type, processes):
        return super().memory(model, inputs, float_type=float_type, processes=min(processes, 1))


class Untimed(Simulated):
    """Has nothing to say of its nodes."""

    def profile(self, model, inputs, *, float_type, repeats):
        return []


FAULTS = [
    (Nameless, "test_describes_itself", None),
    (Drifting, "test_its_fingerprint_is_plain_and_that_of_every_instance", None),
    (Silent, "test_every_option_is_legal_or_struck_with_a_sentence", None),
    (Forgetful, "test_every_option_is_legal_or_struck_with_a_sentence", None),
    (Boastful, "test_what_it_calls_legal_it_serves_as_simulated", "w4g128"),
    (Lazy, "test_what_it_calls_legal_it_serves_as_simulated", "w4a8"),
    (Coarse, "test_what_it_calls_legal_it_serves_as_simulated", "w8a8"),
    (Turned, "test_batches_do_not_change_the_outputs_nor_their_order", None),
    (Unstable, "test_a_candidate_has_one_file_which_a_fresh_target_loads", None),
    (Miscounting, "test_times_are_positive_ordered_and_as_many_as_were_asked_for", None),
    (Frozen, "test_times_are_positive_ordered_and_as_many_as_were_asked_for", None),
    (OneAfterAnother, "test_models_are_timed_in_turns", None),
    (Untimed, "test_a_profile_names_nodes_and_their_times", None),
    (Leaky, "test_memory_is_told_once_a_process", None),
    (Careless, "test_what_cannot_be_loaded_is_refused_and_the_next_model_is_served", None),
    (Careless, "test_inputs_that_do_not_fit_and_no_repeats_are_refused", None),
]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def suite_of(make):
    class Suite(TargetSuite):
        def make(self, *, threads=1, batch=1):
            return make(threads, batch)

    return Suite()


@pytest.mark.parametrize(("make", "name", "more"), FAULTS, ids=[f"{m.__name__}-{n}" for m, n, _ in FAULTS])
def test_a_planted_fault_is_caught(make, name, more, model, tmp_path):
    def check(made):
        suite = suite_of(made)
        test = getattr(suite, name)
        known = {"target": made(), "model": model, "tmp_path": tmp_path, "option": more}
        test(**{n: value for n, value in known.items() if n in inspect.signature(test).parameters})

    check(Simulated)  # What is sound passes the same call, so the failure is the fault's.
    # Careless lets through whatever its runtime raises, which is what is wrong with it.
    errors = Exception if make is Careless else (AssertionError, pytest.fail.Exception, EvaluationError)
    with pytest.raises(errors):
        check(make)


def test_a_target_that_takes_no_threads_is_caught():
    suite_of(Simulated).test_threads_and_batches_below_one_are_refused()
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite_of(Permissive).test_threads_and_batches_below_one_are_refused()


class Immortal(OnnxRuntimeTarget):
    """Hides that its worker died."""

    def predict(self, model, inputs, *, float_type, batch):
        try:
            return super().predict(model, inputs, float_type=float_type, batch=batch)
        except EvaluationError:
            return super().predict(model, inputs, float_type=float_type, batch=batch)


def test_a_death_that_is_hidden_is_caught(model, tmp_path):
    class Suite(WorkerTargetSuite):
        def make(self, *, threads=1, batch=1):
            return Immortal(threads=threads, batch=batch)

    target = Suite().make()
    try:
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            Suite().test_a_worker_that_dies_at_work_is_an_evaluation_error_and_is_replaced(
                target, model, tmp_path
            )
    finally:
        target.close()


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("conv layers stay in float", True),
        ("", False),
        ("no", False),
        ("a reason\nof two lines", False),
        ("Traceback (most recent call last)", False),
    ],
)
def test_a_sentence_is_told_from_what_a_program_leaves(text, fits):
    assert is_sentence(text) == fits
