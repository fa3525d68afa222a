# ruff: noqa: D102  the names of the tests say what they check
"""What every target must do; subclass it in a test module and say how yours is built.

    class TestMyTarget(WorkerTargetSuite):
        def make(self, *, threads=1, batch=1): return MyTarget(threads=threads, batch=batch)

The model is tiny and known (:mod:`automl.testing.tiny_model`), so a target is checked in seconds. A target
that cannot time, or cannot tell memory, says so in the class; then the suite checks that it refuses in a
sentence.
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from abc import ABC
from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import pytest

from automl.core.errors import AutomlError
from automl.core.errors import ConfigError
from automl.core.errors import EvaluationError
from automl.core.errors import TargetError
from automl.targets.base import Target
from automl.testing.tiny_model import TinyModel
from automl.testing.tiny_model import tiny_model
from automl.transforms.precision import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["TOLD_APART", "TargetSuite", "WorkerTargetSuite", "is_sentence"]

#: How far outputs of a served float model may lie from torch's, relative to their size.
FLOAT_GAP = {"f32": 1e-3, "bf16": 0.05}

#: The same for a quantized model and its simulation.
QUANTIZED_GAP = 0.03

#: From this loss on, a simulation is told apart from the untouched model.
TOLD_APART = 0.015

REPEATS = 6


def is_sentence(text: str) -> bool:
    """Return whether a reason is for people: a few words on one line, and no trace of a program."""
    return len(text.split()) >= 3 and "\n" not in text and "Traceback" not in text


def gap(got: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the distance of two outputs relative to the size of the second."""
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


class TargetSuite(ABC):
    """Holds for every target, one that runs models in the calling process included."""

    #: Whether the target tells times, and a profile.
    times = True
    #: Whether it tells the memory of serving.
    remembers = True

    @abstractmethod
    def make(self, *, threads: int | None = 1, batch: int = 1) -> Target:
        """Return a new target."""

    def order_of_runs(self, target: Target) -> Sequence[int]:
        """Return which model each run of the last timing was of, in the order in which they were taken."""
        return list(getattr(target, "run_order", ()))

    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> Iterator[Target]:
        """Yield a target with one thread, and close it afterwards."""
        made = cls().make()
        yield made
        made.close()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> TinyModel:
        """Return the model that is served."""
        return tiny_model()

    def uniform(self, target: Target, model: TinyModel, option: str) -> dict[str, str]:
        """Return the option at every site where it is legal."""
        legal = target.legality(model.traced.graph).options
        return {site: option for site, options in legal.items() if option in options}

    def serve(self, target: Target, model: TinyModel, option: str, folder: Path) -> Path:
        """Return the file of the model with one option wherever it is legal."""
        plan = model.plan(target, self.uniform(target, model, option))
        made = target.deployable(model.traced, model.base, plan)
        assert made.suffix == target.suffix
        file = folder / f"{option}{made.suffix}"
        file.write_bytes(made.content)
        return file

    def outputs(
        self, target: Target, file: Path, model: TinyModel, float_type: str = "f32", batch: int = 8
    ) -> NDArray[np.float32]:
        """Return the outputs of a file for all samples."""
        (found,) = target.predict(file, [model.images], float_type=float_type, batch=batch)
        return found

    def refused(self, error: type[AutomlError], call: Callable[[], object]) -> str:
        """Return the sentence with which a call is refused."""
        with pytest.raises(error) as caught:
            call()
        assert is_sentence(str(caught.value)), str(caught.value)
        return str(caught.value)

    def test_describes_itself(self, target: Target) -> None:
        assert isinstance(target, Target)
        info = target.info()
        assert info.name
        assert info.runtime
        assert info.device
        assert info.threads == 1
        assert "f32" in info.float_types
        assert info.default_float in info.float_types
        assert set(info.float_types) <= set(FLOAT_GAP)

    def test_its_fingerprint_is_plain_and_that_of_every_instance(self, target: Target) -> None:
        other = self.make()
        try:
            assert other.info() == target.info() == target.info()
        finally:
            other.close()
        assert json.loads(json.dumps(dict(target.info().machine))) == dict(target.info().machine)
        assert target.info().machine

    def test_every_option_is_legal_or_struck_with_a_sentence(self, target: Target, model: TinyModel) -> None:
        legality = target.legality(model.traced.graph)
        struck = {(site, option): reason for site, option, reason in legality.struck}
        assert set(legality.options) == {s.name for s in model.traced.graph.sites}
        for site, options in legality.options.items():
            assert options[0] == "fp"
            assert list(options) == [o for o in PRECISIONS if o in options]
            absent = {o for o in PRECISIONS if o not in options}
            assert {o for s, o in struck if s == site} == absent
        assert all(is_sentence(reason) for reason in struck.values()), struck
        assert set(legality.float_types) <= set(target.info().float_types)

    def test_the_untouched_model_gives_torchs_outputs_in_every_float_type(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        file = self.serve(target, model, "fp", tmp_path)
        for float_type in target.info().float_types:
            found = self.outputs(target, file, model, float_type)
            assert found.dtype == np.float32
            assert gap(found, model.outputs) < FLOAT_GAP[float_type], float_type

    @pytest.mark.parametrize("option", [o for o in PRECISIONS if o != "fp"])
    def test_what_it_calls_legal_it_serves_as_simulated(
        self, target: Target, model: TinyModel, tmp_path: Path, option: str
    ) -> None:
        precisions = self.uniform(target, model, option)
        simulated = model.simulated(model.plan(target, precisions))
        found = self.outputs(target, self.serve(target, model, option, tmp_path), model)
        assert gap(found, simulated) < QUANTIZED_GAP
        # What serves the float model instead is as far from the simulation as that is from the float model.
        lost = gap(model.outputs, simulated)
        if lost > TOLD_APART:
            assert gap(found, simulated) < lost / 2

    def test_batches_do_not_change_the_outputs_nor_their_order(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        file = self.serve(target, model, "fp", tmp_path)
        whole = self.outputs(target, file, model)
        for batch in (1, 3):
            assert gap(self.outputs(target, file, model, batch=batch), whole) < FLOAT_GAP["f32"]

    def test_a_candidate_has_one_file_which_a_fresh_target_loads(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        file = self.serve(target, model, "w8a8", tmp_path)
        content, found = file.read_bytes(), self.outputs(target, file, model)
        assert self.serve(target, model, "w8a8", tmp_path).read_bytes() == content
        fresh = self.make()
        try:
            np.testing.assert_array_equal(self.outputs(fresh, file, model), found)
        finally:
            fresh.close()

    def test_closing_twice_leaves_a_target_that_works(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        file = self.serve(target, model, "fp", tmp_path)
        before = self.outputs(target, file, model)
        target.close()
        target.close()
        np.testing.assert_array_equal(self.outputs(target, file, model), before)

    def test_times_are_positive_ordered_and_as_many_as_were_asked_for(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        models = [(self.serve(target, model, option, tmp_path), "f32") for option in ("fp", "w8a8")]

        def take() -> list[float]:
            found = target.time(models, [model.images[:1]], repeats=REPEATS)
            assert [t.repeats for t in found] == [REPEATS] * len(models)
            for t in found:
                assert 0 < t.low_ms <= t.median_ms <= t.high_ms < math.inf
                assert t.median_ms <= t.p95_ms < math.inf
            return [t.median_ms for t in found]

        if self.times:
            take()
        else:
            self.refused(TargetError, take)

    def test_models_are_timed_in_turns(self, target: Target, model: TinyModel, tmp_path: Path) -> None:
        if not self.times:
            return
        models = [(self.serve(target, model, option, tmp_path), "f32") for option in ("fp", "w8a8")]
        target.time(models, [model.images[:1]], repeats=4 * REPEATS)
        order = list(self.order_of_runs(target))
        assert sorted(order) == [0] * 4 * REPEATS + [1] * 4 * REPEATS
        # A machine that changes its speed half-way does so for both.
        middles = [np.mean([i for i, which in enumerate(order) if which == m]) for m in (0, 1)]
        assert abs(middles[0] - middles[1]) <= 0.1 * len(order), order

    def test_a_profile_names_nodes_and_their_times(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        file = self.serve(target, model, "fp", tmp_path)

        def profile() -> object:
            return target.profile(file, [model.images[:1]], float_type="f32", repeats=3)

        if not self.times:
            self.refused(TargetError, profile)
            return
        nodes = target.profile(file, [model.images[:1]], float_type="f32", repeats=3)
        assert nodes
        assert all(n.name and n.op and 0 <= n.ms < math.inf for n in nodes)
        assert sum(n.ms for n in nodes) > 0

    def test_memory_is_told_once_a_process(self, target: Target, model: TinyModel, tmp_path: Path) -> None:
        file = self.serve(target, model, "fp", tmp_path)

        def memory(processes: int) -> list[int]:
            found = target.memory(file, [model.images[:1]], float_type="f32", processes=processes)
            assert all(f.peak_bytes is None or f.peak_bytes >= f.resident_bytes for f in found)
            return [f.resident_bytes for f in found]

        if not self.remembers:
            self.refused(TargetError, lambda: memory(1))
            return
        found = memory(2)
        assert len(found) == 2
        assert all(0 <= resident < 1 << 30 for resident in found), found
        self.refused(EvaluationError, lambda: memory(0))

    def test_threads_and_batches_below_one_are_refused(self) -> None:
        for given, value in ({"threads": 0}, 0), ({"threads": -2}, -2), ({"batch": 0}, 0):
            said = self.refused(ConfigError, lambda given=given: self.make(**given))  # type: ignore[misc]
            assert str(value) in said

    def test_what_cannot_be_loaded_is_refused_and_the_next_model_is_served(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        file = self.serve(target, model, "fp", tmp_path)
        damaged, missing = tmp_path / f"damaged{target.suffix}", tmp_path / f"missing{target.suffix}"
        damaged.write_bytes(file.read_bytes()[:100])
        self.refused(EvaluationError, lambda: self.outputs(target, damaged, model))
        assert "missing" in self.refused(EvaluationError, lambda: self.outputs(target, missing, model))
        said = self.refused(EvaluationError, lambda: self.outputs(target, file, model, "f5"))
        assert "f5" in said
        assert "f32" in said
        assert gap(self.outputs(target, file, model), model.outputs) < FLOAT_GAP["f32"]

    def test_inputs_that_do_not_fit_and_no_repeats_are_refused(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        file, images = self.serve(target, model, "fp", tmp_path), model.images
        for inputs in ([], [images[:0]], [images, images[:2]]):
            self.refused(
                EvaluationError,
                lambda inputs=inputs: target.predict(file, inputs, float_type="f32", batch=2),  # type: ignore[misc]
            )
        if self.times:
            self.refused(EvaluationError, lambda: target.time([(file, "f32")], [images[:1]], repeats=0))


class WorkerTargetSuite(TargetSuite):
    """Holds for targets that run models in a process of their own, named by ``worker_pid``."""

    def worker(self, target: Target) -> int:
        """Return the process of the worker, which is running."""
        pid: int | None = getattr(target, "worker_pid", None)
        assert pid is not None
        assert pid != os.getpid()
        return pid

    def test_files_are_loaded_in_another_process_which_ends_with_the_target(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        self.outputs(target, self.serve(target, model, "fp", tmp_path), model)
        before = self.worker(target)
        target.close()
        assert getattr(target, "worker_pid", None) is None
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)

    def test_a_worker_that_dies_at_work_is_an_evaluation_error_and_is_replaced(
        self, target: Target, model: TinyModel, tmp_path: Path
    ) -> None:
        file = self.serve(target, model, "fp", tmp_path)
        expected = self.outputs(target, file, model)
        pid = self.worker(target)
        # Stopped, it takes the command and does not answer before it is killed.
        os.kill(pid, signal.SIGSTOP)
        killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
        killer.start()
        try:
            said = self.refused(EvaluationError, lambda: self.outputs(target, file, model))
        finally:
            killer.join()
        assert "died" in said
        np.testing.assert_array_equal(self.outputs(target, file, model), expected)
        assert self.worker(target) != pid
