from __future__ import annotations

import pytest

from automl.core.errors import KernelError
from automl.kernels.compilation.devices import ARCHITECTURES
from automl.kernels.compilation.devices import architecture
from automl.kernels.compilation.devices import occupancy


def test_an_unknown_architecture_is_refused_with_the_nearest():
    with pytest.raises(KernelError, match="did you mean 'sm_90'"):
        architecture("sm_9")


@pytest.mark.parametrize(
    ("registers", "shared", "threads", "share"),
    [(32, 0, 256, 1.0), (128, 0, 256, 0.25), (255, 0, 256, 0.125), (32, 100 * 1024, 128, 1 / 16)],
)
def test_occupancy_is_what_the_scarcer_resource_leaves(registers, shared, threads, share):
    # 65,536 registers, 164 kB and 2,048 threads.
    found = occupancy(architecture("sm_80"), registers=registers, shared_bytes=shared, threads=threads)
    assert found == share


def test_no_resources_fill_the_device_at_most_once():
    for arch in ARCHITECTURES.values():
        assert 0 < occupancy(arch, registers=1, shared_bytes=0, threads=64) <= 1
