from __future__ import annotations

from automl.kernels.compilation.triton_impl import interpreting


def test_the_interpreter_is_seen_when_it_is_asked_for(monkeypatch):
    assert interpreting()
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    assert not interpreting()
