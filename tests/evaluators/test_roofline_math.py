from __future__ import annotations

import math

import pytest

from automl.evaluators.roofline_math import Work
from automl.evaluators.roofline_math import attention_work
from automl.evaluators.roofline_math import conv_work
from automl.evaluators.roofline_math import crossover_rows
from automl.evaluators.roofline_math import elementwise_work
from automl.evaluators.roofline_math import embedding_work
from automl.evaluators.roofline_math import fused_attention_work
from automl.evaluators.roofline_math import kv_cache_work
from automl.evaluators.roofline_math import linear_work
from automl.evaluators.roofline_math import norm_work
from automl.evaluators.roofline_math import ridge
from automl.evaluators.roofline_math import ring_all_reduce_s
from automl.evaluators.roofline_math import roofline_s
from automl.evaluators.roofline_math import softmax_work
from automl.evaluators.roofline_math import two_step_all_reduce_s

A100 = (312e12, 1.555e12)


def test_a_matrix_layer_does_two_operations_a_multiply_accumulate():
    work = linear_work(7, 30, 50, weight=2, read=2, write=4)
    assert work.total_ops == 2 * 7 * 30 * 50
    assert (work.weight_bytes, work.read_bytes, work.write_bytes) == (30 * 50 * 2, 7 * 30 * 2, 7 * 50 * 4)


def test_activations_of_the_head_grow_with_the_batch():
    one, eight = (linear_work(b * 16, 64, 1000, weight=2, read=2, write=2) for b in (1, 8))
    assert eight.read_bytes == 8 * one.read_bytes
    assert eight.write_bytes == 8 * one.write_bytes
    assert eight.weight_bytes == one.weight_bytes


def test_a_convolution_of_one_pixel_is_a_matrix_layer():
    conv = conv_work(49, 50, 30, in_elements=49 * 30, weight=4, read=4, write=4)
    assert conv == linear_work(49, 30, 50, weight=4, read=4, write=4)


def test_a_table_is_read_by_the_row():
    work = embedding_work(5, 16, weight=4, write=2)
    assert (work.total_ops, work.total_bytes) == (0, 5 * 16 * 6)


def test_queries_are_counted_for_every_query_head():
    first, _, second = attention_work(2, 10, 10, 8, 2, 16, act=2, kv=2)
    assert first.read_bytes == 2 * 8 * 10 * 16 * 2
    assert second.write_bytes == first.read_bytes
    assert first.kv_bytes == 2 * 2 * 10 * 16 * 2


def test_fused_attention_does_the_same_operations():
    parts = attention_work(2, 100, 300, 8, 2, 16, act=2, kv=2)
    fused = fused_attention_work(2, 100, 300, 8, 2, 16, act=2, kv=2)
    assert fused.total_ops == sum(p.total_ops for p in parts)


def test_fused_attention_writes_its_output_once_whatever_the_length():
    works = [fused_attention_work(1, n, n, 4, 4, 16, act=2, kv=2) for n in (64, 128, 4096)]
    assert [w.write_bytes for w in works] == [4 * n * 16 * 2 for n in (64, 128, 4096)]
    assert [w.read_bytes for w in works] == [w.write_bytes for w in works]


def test_fused_attention_reads_the_cache_once_a_query_tile():
    def cached(new):
        return fused_attention_work(1, new, 512, 4, 2, 16, act=2, kv=1, tile=128).kv_bytes

    once = 2 * 2 * 512 * 16 * 1
    assert [cached(n) for n in (1, 128, 129, 512)] == [once, once, 2 * once, 4 * once]


def test_scores_pass_through_memory_four_times_when_attention_is_not_fused():
    parts = attention_work(1, 32, 64, 4, 4, 16, act=2, kv=2)
    fused = fused_attention_work(1, 32, 64, 4, 4, 16, act=2, kv=2)
    scores = 4 * 32 * 64 * 2
    assert sum(p.total_bytes for p in parts) - fused.total_bytes == 4 * scores


def test_the_cache_stores_keys_and_values():
    assert kv_cache_work(3, 2, 4, 16, kv=1).total_bytes == 2 * 3 * 2 * 4 * 16


def test_elements_of_the_small_operators():
    assert softmax_work(10, act=4) == Work(ops=50, read_bytes=40, write_bytes=40)
    assert norm_work(10, act=4) == Work(ops=70, read_bytes=40, write_bytes=40)
    assert elementwise_work(10, ops=2, read_elements=20, act=2) == Work(ops=20, read_bytes=40, write_bytes=20)


def test_time_is_the_larger_of_arithmetic_and_memory():
    work = Work(macs=500.0, read_bytes=10.0)
    assert roofline_s(work, 100.0, 1.0, 5.0) == 10.0
    assert roofline_s(work, 1000.0, 1.0, 5.0) == 2.0
    assert roofline_s(Work(ops=9.0), 1.0, 3.0, 1.0) == 3.0


def test_intensity_at_the_ridge_takes_equally_long_either_way():
    at = ridge(*A100)
    assert at == pytest.approx(200, rel=0.01)
    rows = crossover_rows(4096, 4096, at, weight=2, read=2, write=2)
    work = linear_work(rows, 4096, 4096, weight=2, read=2, write=2)
    assert work.intensity == pytest.approx(at)
    assert work.total_ops / A100[0] == pytest.approx(work.total_bytes / A100[1])


def test_fewer_weight_bits_cross_over_earlier():
    at = ridge(*A100)
    rows = [crossover_rows(4096, 4096, at, weight=w, read=2, write=2) for w in (2, 1, 0.5)]
    assert rows == sorted(rows, reverse=True)
    assert rows[0] == pytest.approx(4 * rows[2])


def test_a_thin_layer_never_reaches_the_ridge():
    assert crossover_rows(4096, 16, ridge(*A100), weight=2, read=2, write=2) == math.inf


def test_intensity_of_nothing():
    assert Work().intensity == 0.0
    assert Work(ops=1.0).intensity == math.inf


def test_work_adds_up():
    assert Work(1, 2, 3, 4, 5, 6) + Work(1, 1, 1, 1, 1, 1) == Work(2, 3, 4, 5, 6, 7)


def test_both_all_reduces_move_the_same_bytes_and_two_steps_wait_less():
    ring = ring_all_reduce_s(1e6, 8, latency_s=0.0, link_bytes_s=1e9)
    two = two_step_all_reduce_s(1e6, 8, latency_s=0.0, link_bytes_s=1e9)
    assert ring == pytest.approx(two) == pytest.approx(2 * 1e6 * 7 / 8 / 1e9)
    assert ring_all_reduce_s(0, 8, latency_s=1.0, link_bytes_s=1.0) == 14
    assert two_step_all_reduce_s(0, 8, latency_s=1.0, link_bytes_s=1.0) == 2


def test_a_quantized_all_reduce_moves_its_share():
    full = two_step_all_reduce_s(1e6, 4, latency_s=0.0, link_bytes_s=1e9)
    assert two_step_all_reduce_s(1e6, 4, latency_s=0.0, link_bytes_s=1e9, share=0.5) == full / 2
    assert two_step_all_reduce_s(1e6, 4, latency_s=0.0, link_bytes_s=1e9, convert_s=1.0) == full + 1.0


def test_one_rank_has_nothing_to_reduce():
    assert ring_all_reduce_s(1e6, 1, latency_s=1.0, link_bytes_s=1.0) == 0.0
    assert two_step_all_reduce_s(1e6, 1, latency_s=1.0, link_bytes_s=1.0, convert_s=5.0) == 0.0
