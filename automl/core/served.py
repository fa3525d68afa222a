"""Which kernel serves a site, and why no other does: what dispatch answered, as a value for every report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ServedSite"]


@dataclass(frozen=True)
class ServedSite:
    """The kernel of one site.

    Args:
        site: name of the site.
        option: its precision option.
        kernel: name of the kernel, or of the runtime's own operator.
        implementation: ``cpu``, ``triton``, ``reference``, or ``torch`` for the runtime's own operator.
        reason: why this implementation, one sentence.
        others: (implementation or option, why it does not serve the site).
    """

    site: str
    option: str
    kernel: str
    implementation: str
    reason: str
    others: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "site": self.site,
            "option": self.option,
            "kernel": self.kernel,
            "implementation": self.implementation,
            "reason": self.reason,
            "others": [list(row) for row in self.others],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ServedSite:
        """Return the value written by :meth:`to_json`."""
        others = tuple((str(name), str(why)) for name, why in data["others"])
        return cls(
            data["site"], data["option"], data["kernel"], data["implementation"], data["reason"], others
        )
