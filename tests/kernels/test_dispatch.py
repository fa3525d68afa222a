from __future__ import annotations

import logging

import pytest

from automl.core.errors import KernelError
from automl.kernels import dispatch
from automl.kernels.dispatch import choose
from automl.kernels.spec import KernelSpec

SPEC = KernelSpec("demo", "does x", ("int8",))
NO_CPU = KernelSpec("demo", "does x", ("int8",), implementations=("reference", "triton"), cpu="nothing pays")


def test_cpu_tensors_get_the_cpu_twin_and_cuda_tensors_triton():
    assert choose(SPEC, "cpu").implementation == "cpu"
    assert choose(SPEC, "cuda").implementation == "triton"


def test_the_reason_says_whether_compiled_kernels_serve(monkeypatch):
    native = KernelSpec("demo", "does x", ("int8",), native="codes")
    monkeypatch.setattr(dispatch, "native_obstacle", lambda: None)
    assert choose(native, "cpu").reason == "tensors are on cpu, compiled kernels serve"
    monkeypatch.setattr(dispatch, "native_obstacle", lambda: "no compiler")
    assert choose(native, "cpu").reason == "tensors are on cpu, operators of torch serve (no compiler)"
    assert choose(SPEC, "cpu").reason == "tensors are on cpu"


def test_a_refusal_leads_to_the_reference_with_its_reason(caplog):
    dispatch._log_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            choice = choose(SPEC, "cpu", refused={"cpu": "k=7 is odd"})
    assert (choice.implementation, choice.reason) == ("reference", "k=7 is odd")
    assert [r.getMessage() for r in caplog.records] == [
        "kernel 'demo' runs as its reference on cpu: k=7 is odd"
    ]


def test_a_kernel_that_does_not_pay_on_the_cpu_says_so():
    assert choose(NO_CPU, "cpu").reason == "nothing pays"


def test_an_order_that_cannot_be_met_is_an_error():
    with pytest.raises(KernelError, match="k=7 is odd; use preference 'auto' or 'reference'"):
        choose(SPEC, "cpu", preference="cpu", refused={"cpu": "k=7 is odd"})
    with pytest.raises(KernelError, match="the tensors are on cuda"):
        choose(SPEC, "cuda", preference="cpu")


def test_triton_on_the_cpu_needs_the_interpreter(monkeypatch):
    assert choose(SPEC, "cpu", preference="triton").implementation == "triton"
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(KernelError, match="needs a CUDA or ROCm device and the tensors are on cpu"):
        choose(SPEC, "cpu", preference="triton")


def test_a_machine_without_triton_says_so(monkeypatch):
    monkeypatch.setattr(dispatch.importlib.util, "find_spec", lambda name: None)
    assert choose(SPEC, "cuda").reason == "triton is not installed"


def test_an_unknown_preference_is_refused():
    with pytest.raises(KernelError, match="did you mean 'triton'"):
        choose(SPEC, "cpu", preference="tritn")
