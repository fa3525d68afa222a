from __future__ import annotations

import html

from automl.artifact.card import model_card
from automl.artifact.manifest import FileRecord
from automl.artifact.manifest import Manifest
from tests.artifact.models import info


def _card(*, direct=False, **facts):
    files = {"model.onnx": FileRecord("", 1000), "weights.safetensors": FileRecord("", 4_000_000)}
    return model_card(Manifest(info(**facts), files, direct))


def test_card_states_figures_interval_and_trial_zero():
    card = _card()
    assert "| latency (median) | 3.25 ms | 3.10 ms to 3.40 ms | 50 | 6.50 ms |" in card
    assert "| accuracy | 87.20 % | 84.00 % to 90.00 % | 500 |  |" in card
    assert "| size | 4.21 MB | exact | 1 |  |" in card


def test_card_says_which_budgets_hold():
    assert "- latency=0.6x: met" in _card()
    assert "- size=4MB: not met" in _card()


def test_card_warns_that_low_bits_buy_bytes_alone():
    assert "run at the speed of int8" in _card(bits=4)
    assert "run at the speed of int8" not in _card(bits=8)


def test_card_tells_how_to_unpack_only_when_needed():
    assert "write_onnx" in _card(direct=False)
    assert "bit-packed" not in _card(direct=True)


def test_user_names_are_text():
    card = _card(name="<script>alert(1)</script>\n# x | [a](b) `c`")
    assert "<script" not in card
    assert "\n# x" not in card
    assert html.escape("<script>") in card
    assert "\\| \\[a\\]" in card
