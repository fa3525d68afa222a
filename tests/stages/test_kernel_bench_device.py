from __future__ import annotations

import subprocess

import pytest
import torch

from automl.core.errors import ConfigError
from automl.core.errors import KernelError
from automl.stages import kernel_bench_device
from automl.stages.kernel_bench_device import commit_of
from automl.stages.kernel_bench_device import measure_on_device
from automl.stages.kernel_bench_device import wanted_device


def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert wanted_device("auto") == wanted_device("cpu") == "cpu"
    with pytest.raises(KernelError, match="this machine has none"):
        wanted_device("cuda")
    with pytest.raises(ConfigError, match="unknown device 'gpu'"):
        wanted_device("gpu")


def test_with_a_gpu_auto_is_it_unless_the_interpreter_would_run(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(KernelError, match="whose times mean nothing"):
        wanted_device("auto")
    monkeypatch.setattr(kernel_bench_device, "interpreted", lambda: False)
    assert wanted_device("auto") == wanted_device("cuda") == "cuda"
    assert wanted_device("cpu") == "cpu"


def test_rows_come_with_device_driver_versions_commit_and_roofline(monkeypatch):
    asked = {}

    def bench(clock, device, **settings):
        asked.update(settings, device=device)
        return iter(["a row"])

    facts = {"device": "NVIDIA A40", "driver": "7"}
    monkeypatch.setattr(kernel_bench_device, "CudaDevice", lambda: None)
    monkeypatch.setattr(kernel_bench_device, "device_facts", lambda: facts)
    monkeypatch.setattr(kernel_bench_device, "bench_kernels", bench)
    rows, found = measure_on_device(["w8a8_linear"], rounds=5)
    assert rows == ["a row"]
    assert (asked["place"], asked["rounds"], asked["device"].name) == ("cuda", 5, "a40")
    assert {"device", "driver", "torch", "triton", "code", "commit"} <= set(found)
    assert found["roofline"] == "NVIDIA A40 (data sheet)"
    facts["device"] = "another"
    assert measure_on_device([], rounds=5)[1]["roofline"] == "not known for this device"


def test_the_commit_is_that_of_a_checkout_marked_when_files_were_changed(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false")
        subprocess.run(("git", "-C", str(tmp_path), *identity, *arguments), check=True, capture_output=True)

    assert commit_of(tmp_path) == ""
    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "first")
    clean = commit_of(tmp_path)
    assert len(clean) == 40
    (tmp_path / "a").write_text("2")
    assert commit_of(tmp_path) == f"{clean}+"
    # A package inside somebody else's checkout has no commit of its own.
    (tmp_path / "inside").mkdir()
    assert commit_of(tmp_path / "inside") == ""
