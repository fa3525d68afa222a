from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import DataError
from automl.core.samples import Samples


def images(n=6):
    return np.arange(n * 4, dtype=np.float32).reshape(n, 1, 2, 2)


def test_batches_cover_everything_in_order():
    samples = Samples((images(), np.arange(6)))
    parts = list(samples.batches(4))
    assert [len(p[0]) for p in parts] == [4, 2]
    assert np.array_equal(np.concatenate([p[1] for p in parts]), np.arange(6))


def test_take_keeps_labels_beside_inputs():
    taken = Samples((images(),), np.arange(6) * 10).take(np.array([4, 1]))
    assert taken.labels.tolist() == [40, 10]
    assert taken.inputs[0][0, 0, 0, 0] == 16.0
    assert len(Samples((images(),)).take(slice(0, 2))) == 2


@pytest.mark.parametrize(
    ("inputs", "labels", "words"),
    [
        ((), None, "at least one input"),
        ((images(2), images(3)), None, r"\[2, 3\]"),
        ((images(2),), np.arange(3), r"\[2, 3\]"),
        ((images(0),), None, "empty"),
        ((np.array([[1.0, np.nan]]),), None, "NaN"),
        ((np.array([[1.0, np.inf]], dtype=np.float16),), None, "infinite"),
    ],
)
def test_bad_data_is_refused(inputs, labels, words):
    with pytest.raises(DataError, match=words):
        Samples(inputs, labels)


def test_fingerprint_follows_content():
    base = Samples((images(),), np.arange(6))
    assert base.fingerprint == Samples((np.asfortranarray(images()),), np.arange(6)).fingerprint
    changed = images()
    changed[5, 0, 1, 1] += 1
    others = [
        Samples((changed,), np.arange(6)),
        Samples((images(),), np.arange(6)[::-1]),
        Samples((images(),)),
        Samples((images().reshape(6, 2, 2, 1),), np.arange(6)),
        Samples((images(), np.arange(6))),
    ]
    assert len({s.fingerprint for s in [base, *others]}) == 6
