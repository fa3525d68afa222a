"""The table of kernels: name -> folder; only a requested one is imported.

Every folder keeps to one shape: ``op.SPEC``; ``run`` in ``reference``, ``triton_impl`` and ``cpu_impl``, with
the arguments of the reference; beside a ``run`` that cannot serve every valid call, ``refusal`` with the same
arguments (why not, or None); ``cases.cases()``; and ``triton_impl.builds()`` where there is Triton code.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import KernelError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.kernels.builds import Build
    from automl.kernels.cases import Case
    from automl.kernels.spec import KernelSpec

__all__ = ["KERNELS", "builds", "cases", "implementation", "refusal", "spec"]

KERNELS: tuple[str, ...] = (
    "block_sparse_linear",
    "nm_linear",
    "bitplane_linear",
    "fake_quantize",
    "quantize_rows",
    "w8a8_linear",
    "w8a8_conv",
    "w4a16_linear",
    "w8a16_linear",
    "w4a8_linear",
)

_MODULES = {"reference": "reference", "cpu": "cpu_impl", "triton": "triton_impl"}


def _module(name: str, part: str) -> Any:
    if name not in KERNELS:
        raise KernelError(unknown_name("kernel", name, KERNELS))
    return importlib.import_module(f"automl.kernels.{name}.{part}")


def spec(name: str) -> KernelSpec:
    """Return the specification of the kernel ``name``.

    Raises:
        KernelError: no kernel has that name.
    """
    found: KernelSpec = _module(name, "op").SPEC
    return found


def implementation(name: str, which: str, function: str = "run") -> Callable[..., Any]:
    """Return ``run``, or another function of the folder's pattern, of one implementation, importing no other.

    Raises:
        KernelError: the kernel or the implementation does not exist.
    """
    if which not in _MODULES:
        raise KernelError(unknown_name("implementation", which, _MODULES))
    found: Callable[..., Any] = getattr(_module(name, _MODULES[which]), function)
    return found


def refusal(name: str, which: str, arguments: dict[str, Any]) -> str | None:
    """Return why the implementation cannot serve these arguments of ``run``, or None when it can."""
    if which == "reference":
        return None
    ask = getattr(_module(name, _MODULES[which]), "refusal", None)
    reason: str | None = None if ask is None else ask(**arguments)
    return reason


def cases(name: str) -> list[Case]:
    """Return what ``check`` runs through every implementation of the kernel."""
    found: list[Case] = list(_module(name, "cases").cases())
    return found


def builds(name: str) -> tuple[Build, ...]:
    """Return the shipped configurations of the kernel's Triton code, for ahead-of-time compilation.

    A kernel without Triton code has none.
    """
    if "triton" not in spec(name).implementations:
        return ()
    found: tuple[Build, ...] = _module(name, "triton_impl").builds()
    return found
