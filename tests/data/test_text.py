from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import DataError
from automl.data.text import text_file
from automl.data.text import text_source
from tests.data.toy_models import encoder_model
from tests.data.toy_models import image_model
from tests.data.toy_models import language_model


def _everything(source):
    return source.read(np.arange(source.count)).inputs


def test_language_model_gets_consecutive_windows(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("a b c d a\nb c d a b\n")
    (ids,) = _everything(text_file(path, language_model(4)))
    np.testing.assert_array_equal(ids, [[4, 5, 6, 7], [4, 5, 6, 7]])


def test_encoder_gets_padded_lines_with_masks():
    ids, mask = _everything(text_source(["a b", "", "  c  "], encoder_model(6), "x"))
    np.testing.assert_array_equal(ids, [[2, 4, 5, 3, 0, 0], [2, 6, 3, 0, 0, 0]])
    np.testing.assert_array_equal(mask, [[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]])


def test_long_line_keeps_its_closing_token():
    ids, mask = _everything(text_source(["a b c d a b c"], encoder_model(6), "x"))
    np.testing.assert_array_equal(ids, [[2, 4, 5, 6, 7, 3]])
    assert mask.all()


def test_third_input_is_token_types():
    inputs = _everything(text_source(["a"], encoder_model(6, n_inputs=3), "x"))
    assert len(inputs) == 3
    assert not inputs[2].any()


def test_too_little_text_says_how_much_there_is():
    with pytest.raises(DataError, match=r"holds 3 tokens, which is less than one window of 4.*--input 1x3"):
        text_source(["a b c"], language_model(4), "x")
    with pytest.raises(DataError, match="holds no text"):
        text_source(["", "  "], encoder_model(), "x")


def test_model_without_tokenizer_is_refused():
    with pytest.raises(DataError, match="has no tokenizer"):
        text_source(["a"], image_model(), "x")


def test_bytes_that_are_not_text_are_refused(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"\xff\xfe\x00\x80abc")
    with pytest.raises(DataError, match="cannot be read as UTF-8"):
        text_file(path, language_model())
