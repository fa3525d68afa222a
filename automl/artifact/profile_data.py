"""What a profile shows: one row an operator, a roof a type, and how well estimates rank what was measured."""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ProfileData", "ProfileFit", "ProfileRow"]

SCHEMA = 1


@dataclass(frozen=True)
class ProfileRow:
    """One operator.

    Args:
        name: its site, or the graph node that begins it.
        kind: ``linear``, ``conv``, ``attention``, ``norm``, ...
        site: whether it applies the weight of a site.
        macs: multiply-accumulates.
        ops: operations, two a multiply-accumulate and all others.
        moved_bytes: bytes between memory and processor.
        bound: ``compute``, ``memory`` or ``launch``.
        estimated_ms: least milliseconds on the device.
        measured_ms: milliseconds in the runtime's own profile, None when it was not measured or the runtime
            does not name it.
        turns_at_rows: rows (batch x tokens) from which a matrix layer is limited by arithmetic, None for
            other operators and for layers that never are.
    """

    name: str
    kind: str
    site: bool
    macs: float
    ops: float
    moved_bytes: float
    bound: str
    estimated_ms: float
    measured_ms: float | None = None
    turns_at_rows: float | None = None

    @property
    def intensity(self) -> float:
        """Operations a byte; 0 when nothing is moved."""
        return self.ops / self.moved_bytes if self.moved_bytes > 0 else 0.0


@dataclass(frozen=True)
class ProfileFit:
    """How the estimate compares with what was measured, over operators that were.

    Args:
        n: operators.
        rank: Spearman's correlation of estimated and measured times.
        compute: measured over ideal time of arithmetic.
        memory: the same for memory.
        kernel_ms: milliseconds a kernel costs besides.
        error: mean absolute relative error of the fit of these three factors.
    """

    n: int
    rank: float
    compute: float
    memory: float
    kernel_ms: float
    error: float


@dataclass(frozen=True)
class ProfileData:
    """A profile of one model on one device.

    Args:
        model: its name as the user gave it; any text.
        setting: phase, batch, input shapes and float type in one line.
        device: what the estimate is for.
        device_measured: whether the device's figures were measured here rather than taken from a data sheet.
        runtime: what measured the times; empty when nothing was measured.
        peaks: matrix operations a second by type.
        bandwidth: bytes a second.
        rows: operators in execution order.
        fit: comparison with the measured times, or None.
        cache_bytes_per_token: what a token adds to the cache of keys and values, all sequences; 0 without.
        notes: sentences to read with the figures.

    Raises:
        ConfigError: there are no rows.
    """

    model: str
    setting: str
    device: str
    device_measured: bool
    runtime: str
    peaks: Mapping[str, float]
    bandwidth: float
    rows: tuple[ProfileRow, ...]
    fit: ProfileFit | None = None
    cache_bytes_per_token: float = 0.0
    notes: tuple[str, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if not self.rows:
            raise ConfigError(
                f"model '{self.model}' has no operator to profile; give one with layers that compute"
            )

    @property
    def estimated_ms(self) -> float:
        """Least milliseconds of a run."""
        return sum(r.estimated_ms for r in self.rows)

    @property
    def measured_ms(self) -> float | None:
        """Milliseconds of the operators that were measured, None when none was."""
        found = [r.measured_ms for r in self.rows if r.measured_ms is not None]
        return sum(found) if found else None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        rows = [{**asdict(r), "intensity": r.intensity} for r in self.rows]
        return {
            "schema": SCHEMA,
            **asdict(self),
            "peaks": dict(self.peaks),
            "rows": rows,
            "notes": list(self.notes),
            "totals": {
                "macs": sum(r.macs for r in self.rows),
                "moved_bytes": sum(r.moved_bytes for r in self.rows),
                "estimated_ms": self.estimated_ms,
                "measured_ms": self.measured_ms,
            },
        }
