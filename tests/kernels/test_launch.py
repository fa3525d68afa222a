from __future__ import annotations

import pytest

from automl.core.errors import KernelError
from automl.kernels.launch import SHAPE_CLASSES
from automl.kernels.launch import LaunchConfig
from automl.kernels.launch import LaunchTable
from automl.kernels.launch import shape_class
from automl.kernels.launch import traffic_ratio
from automl.kernels.launch import warps_of


def test_shape_class_changes_at_one_tile_of_rows():
    assert [shape_class(m, 1024) for m in (0, 1, 16, 17, 4096)] == ["decode"] * 3 + ["prefill"] * 2


def test_many_rows_and_few_columns_are_a_convolution():
    assert [shape_class(12544, n) for n in (24, 64, 1568, 1569)] == ["conv"] * 3 + ["prefill"]


def test_the_table_picks_by_class():
    configs = [LaunchConfig(m, 64, 64) for m in (16, 64, 128)]
    table = LaunchTable(*configs)
    assert [table.pick(1, 64), table.pick(17, 64), table.pick(4096, 64)] == configs
    assert [name for name, _ in table.items()] == list(SHAPE_CLASSES)


@pytest.mark.parametrize("changed", [{"block_m": 48}, {"block_k": 0}, {"warps": 3}, {"stages": 0}])
def test_a_launch_that_triton_cannot_build_is_refused(changed):
    name = next(iter(changed))
    with pytest.raises(KernelError, match=f"{name}={changed[name]}"):
        LaunchConfig(**{"block_m": 16, "block_n": 64, "block_k": 64, **changed})


def test_wavefronts_of_64_threads_make_a_program_as_many_threads_with_half_of_them():
    assert [warps_of(w, 32) for w in (1, 2, 4, 8)] == [1, 2, 4, 8]
    assert [warps_of(w, 64) for w in (1, 2, 4, 8)] == [1, 1, 2, 4]


def test_one_tile_moves_every_byte_once_and_more_tiles_move_inputs_again():
    bits = {"x_bits": 8, "w_bits": 4, "y_bits": 16}
    assert traffic_ratio(LaunchConfig(64, 64, 64), (64, 512, 64), **bits) == 1
    # Two column tiles read the input twice, two row tiles the weight.
    twice = traffic_ratio(LaunchConfig(64, 64, 64), (128, 512, 128), **bits)
    x, w, y = 128 * 512, 128 * 512 / 2, 128 * 128 * 2
    assert twice == pytest.approx((2 * x + 2 * w + y) / (x + w + y))
