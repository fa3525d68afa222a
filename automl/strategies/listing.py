"""What every strategy says of itself, plug-ins included; reading it imports them."""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import StrategyError
from automl.strategies.table import STRATEGIES
from automl.strategies.table import list_strategies
from automl.strategies.table import strategy_class

if TYPE_CHECKING:
    from automl.strategies.base import StrategyInfo

__all__ = ["Description", "describe", "describe_all"]


@dataclass(frozen=True)
class Description:
    """A strategy as a user finds it.

    Args:
        name: what ``--strategy`` takes.
        aliases: what it takes as well.
        source: ``built in``, or which plug-in brings it.
        info: what the strategy says of itself; None when it cannot be imported.
        problem: why it cannot be imported; empty otherwise.
    """

    name: str
    aliases: tuple[str, ...]
    source: str
    info: StrategyInfo | None
    problem: str = ""

    @property
    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; the fields of ``info`` stand beside the others, and lack when there is none."""
        facts = {} if self.info is None else asdict(self.info)
        return {
            **facts,
            "name": self.name,
            "aliases": list(self.aliases),
            "source": self.source,
            "usable": self.info is not None,
            "problem": self.problem,
        }


def describe(name: str) -> Description:
    """Return the description of one strategy, imported for it.

    Raises:
        StrategyError: no strategy has that name, or it cannot be imported.
    """
    info = strategy_class(name).info
    row = next((r for known, r in STRATEGIES.items() if name in {known, *r.aliases}), None)
    if row is None:
        source = list_strategies().get(name, "built in")
        return Description(name, (), source, info)
    return Description(info.name, row.aliases, "built in", info)


def describe_all() -> list[Description]:
    """Return the descriptions of all strategies; one that cannot be imported carries the reason."""
    found = []
    for name, summary in list_strategies().items():
        try:
            found.append(describe(name))
        except StrategyError as error:
            source = "built in" if name in STRATEGIES else summary
            found.append(Description(name, (), source, None, str(error)))
    return found
