"""A dimension: one searchable decision, ``kind:site``, with an ordered tuple of options."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from automl.core.errors import SpaceError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from automl.core.candidate import Option

__all__ = ["Dimension", "dimension_name", "split_name"]


def dimension_name(kind: str, site: str) -> str:
    """Return the name of the dimension of ``kind`` at ``site``; the only place where names are built."""
    return f"{kind}:{site}"


def split_name(name: str) -> tuple[str, str]:
    """Return (kind, site) of a dimension name; inverse of :func:`dimension_name`."""
    kind, _, site = name.partition(":")
    return kind, site


@dataclass(frozen=True)
class Dimension:
    """One decision.

    Args:
        kind: what is decided (``precision``, ``float``, later ``width``, ``depth``, ...).
        site: where, a fully qualified module name, or ``model``.
        options: the allowed values, plain JSON scalars; ordered from the most to the least faithful when
            ``ordinal``.
        ordinal: whether neighbours in ``options`` are neighbours in meaning.
        default: the option of the untouched model.
        sites: every site this dimension moves together (tied sites), ``site`` first.

    Raises:
        SpaceError: options are empty or repeated, or the default is none of them.
    """

    kind: str
    site: str
    options: tuple[Option, ...]
    default: Option
    ordinal: bool = True
    sites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.options or len(set(self.options)) != len(self.options):
            raise SpaceError(
                f"dimension {self.name}: options must be non-empty and distinct; got {self.options}"
            )
        if self.default not in self.options:
            raise SpaceError(f"dimension {self.name}: default {self.default!r} is not among {self.options}")
        if not self.sites:
            object.__setattr__(self, "sites", (self.site,))

    @cached_property
    def name(self) -> str:
        """The dimension's unique name."""
        return dimension_name(self.kind, self.site)

    def index(self, option: Option) -> int:
        """Return the position of ``option``.

        Raises:
            SpaceError: it is not an option here.
        """
        if option not in self.options:
            raise SpaceError(f"{self.name}: {unknown_name('option', str(option), map(str, self.options))}")
        return self.options.index(option)
