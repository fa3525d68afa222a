"""What every strategy's saved state shares: whose it is, and the generator bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import StrategyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

__all__ = ["check_state", "restore_rng", "rng_state"]


def check_state(state: Mapping[str, Any], strategy: str, fingerprint: str) -> None:
    """Raise StrategyError when ``state`` was not saved by ``strategy`` on the space with ``fingerprint``."""
    saved = state.get("strategy")
    if saved != strategy:
        raise StrategyError(
            f"saved state belongs to strategy '{saved}', not '{strategy}'; "
            f"continue the run with --strategy {saved} or start a new run"
        )
    if state.get("space") != fingerprint:
        raise StrategyError(
            f"saved state of '{strategy}' belongs to search space {state.get('space')}, this one is "
            f"{fingerprint}; use the same model, target and space, or start a new run"
        )


def rng_state(rng: np.random.Generator) -> dict[str, Any]:
    """Return the generator's state as plain JSON (Python integers of any size)."""
    return dict(rng.bit_generator.state)


def restore_rng(rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Set the generator to a state of :func:`rng_state`.

    Raises:
        StrategyError: the state was not saved from this kind of generator.
    """
    try:
        rng.bit_generator.state = dict(state)
    except (KeyError, TypeError, ValueError) as error:
        raise StrategyError(
            f"the generator state cannot be restored ({error}); the saved state is damaged, start a new run"
        ) from error
