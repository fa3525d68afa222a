"""Rows of the bench from a device on paper, whose times are known; the calls run in the interpreter."""

from __future__ import annotations

import pytest

from automl.core.errors import KernelError
from automl.kernels.device_contenders import contest
from automl.stages.kernel_bench import bench_kernels
from automl.stages.kernel_bench import least_ms
from automl.targets.devices import Device
from tests.kernels.test_device_timing import Recorder

SHAPE = (32, 128, 64)
SLOW = Device("paper", "a device on paper", {"f32": 1e9, "bf16": 2e9, "int8": 4e9}, 1e9, 1e6)


class Ranked(Recorder):
    """A device on which the calls of a contest take 1, 2, 3 ms in the order in which they are captured."""

    def __init__(self):
        super().__init__()
        self.order = []

    def warm_up(self, run, times):
        self.order.append(run)

    def capture(self, run):
        def replay():
            self.clock += 1.0 + self.order.index(run) // 3

        return replay


def test_every_row_stands_next_to_the_roofline_and_the_best_of_torch():
    rows = list(bench_kernels(Ranked(), SLOW, place="cpu", rounds=4, kernels=["w8a8_linear"], shapes=[SHAPE]))
    assert [(r.call, r.median_ms) for r in rows] == [
        ("automl", 1.0),
        ("bf16 F.linear", 2.0),
        ("_int_mm and scales", 3.0),
    ]
    assert {r.best_torch for r in rows} == {"bf16 F.linear"}
    assert [r.times_best_torch for r in rows] == [2.0, 1.0, pytest.approx(2 / 3)]
    assert [(r.m, r.k, r.n, r.rounds, r.launch) for r in rows] == [(*SHAPE, 4, "graph")] * 3
    assert all(r.low_ms <= r.median_ms <= r.high_ms for r in rows)
    roofline = rows[0].roofline_ms
    assert [r.of_roofline for r in rows] == [pytest.approx(roofline / r.median_ms) for r in rows]


def test_a_call_that_cannot_run_is_a_row_with_its_reason():
    rows = list(
        bench_kernels(Ranked(), None, place="cpu", rounds=4, kernels=["w4a16_linear"], shapes=[SHAPE])
    )
    absent = [r for r in rows if r.median_ms is None]
    assert [r.call for r in absent] == ["_weight_int4pack_mm"]
    assert absent[0].reason
    assert all(r.roofline_ms is None and r.of_roofline is None for r in rows)


def test_the_roofline_is_the_slower_of_arithmetic_and_memory():
    found = contest("w8a8_linear", SHAPE, "cpu")
    slow_memory = 1e3 * found.moved / SLOW.bandwidth
    assert least_ms(found, SLOW) == pytest.approx(slow_memory)
    fast = Device("paper", "paper", SLOW.peaks, 1e9, 1e15)
    assert least_ms(found, fast) == pytest.approx(1e3 * 2 * found.macs / 4e9)
    # Rounding multiplies nothing.
    rounding = contest("quantize_rows", SHAPE, "cpu")
    assert least_ms(rounding, fast) == pytest.approx(1e3 * rounding.moved / 1e15)
    assert least_ms(found, None) is None


def test_an_unknown_kernel_is_named():
    with pytest.raises(KernelError, match="did you mean"):
        list(bench_kernels(Ranked(), None, place="cpu", rounds=4, kernels=["w8a8"], shapes=[SHAPE]))
