"""What one kernel is: the row of every listing, and the name that dispatch and errors use."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["IMPLEMENTATIONS", "KernelSpec"]

#: Order of listings; ``reference`` defines the result of the other two.
IMPLEMENTATIONS = ("reference", "cpu", "triton")


@dataclass(frozen=True)
class KernelSpec:
    """One operator.

    Args:
        name: folder below ``automl/kernels`` and name in the ``automl::`` operator library.
        summary: one line for listings.
        dtypes: torch names of the first operand's types, for example ``float16``.
        paper: title and arXiv id of the source, empty when it is common knowledge.
        implementations: which of ``IMPLEMENTATIONS`` exist.
        cpu: what the CPU twin runs on, or why nothing pays there.
        native: what of the CPU twin is compiled from C++ where that is possible, empty when nothing is.
        triton: why there is no Triton code, empty where there is.
    """

    name: str
    summary: str
    dtypes: tuple[str, ...]
    paper: str = ""
    implementations: tuple[str, ...] = IMPLEMENTATIONS
    cpu: str = ""
    native: str = ""
    triton: str = ""

    def __post_init__(self) -> None:
        if "reference" not in self.implementations:
            raise ValueError(f"kernel '{self.name}' has no reference; every kernel is checked against one")
        if unknown := set(self.implementations) - set(IMPLEMENTATIONS):
            raise ValueError(
                f"kernel '{self.name}' names the implementations {sorted(unknown)}; "
                f"use some of {', '.join(IMPLEMENTATIONS)}"
            )
