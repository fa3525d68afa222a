from __future__ import annotations

import pytest

from automl.kernels.spec import KernelSpec


def test_a_kernel_without_reference_is_refused():
    with pytest.raises(ValueError, match="no reference"):
        KernelSpec("x", "does x", ("int8",), implementations=("triton",))


def test_an_unknown_implementation_is_named():
    with pytest.raises(ValueError, match="'cuda'"):
        KernelSpec("x", "does x", ("int8",), implementations=("reference", "cuda"))
