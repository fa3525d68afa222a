"""A portfolio: several strategies race on one history, and what they find decides who proposes next."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from automl.core.dominance import nondominated_mask
from automl.core.errors import AutomlError
from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.core.rng import child_seed
from automl.strategies.base import Learning
from automl.strategies.base import Remarking
from automl.strategies.base import StrategyInfo
from automl.strategies.credit_math import duration_steps
from automl.strategies.credit_math import progress
from automl.strategies.credit_math import shares
from automl.strategies.proposals import Proposals
from automl.strategies.rated import Rated
from automl.strategies.saved_state import check_state
from automl.strategies.saved_state import restore_rng
from automl.strategies.saved_state import rng_state
from automl.strategies.table import make_strategy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.curve import LearningCurve
    from automl.core.trial import Trial
    from automl.strategies.base import Problem
    from automl.strategies.base import Strategy

__all__ = ["Portfolio", "PortfolioSettings"]


@dataclass(frozen=True)
class PortfolioSettings:
    """Who takes part and how fast credit moves.

    Args:
        members: names of the strategy table; those that cannot serve the problem are left out with the
            reason.
        floor: the least share of the proposals of one member, as a fraction of an equal share.
        half_life: trials after which credit counts half.
        until: trials after which Optuna's samplers take no part any more, since each of their proposals
            reads the whole history.

    Raises:
        StrategyError: no member, a repeated one, a portfolio in itself, or a number out of range.
    """

    members: tuple[str, ...] = ("evolutionary", "surrogate", "local", "optuna:tpe", "random")
    floor: float = 0.25
    half_life: float = 64.0
    until: int = 1000

    def __post_init__(self) -> None:
        if not self.members or len(set(self.members)) < len(self.members) or "portfolio" in self.members:
            named = ", ".join(self.members) or "none"
            raise StrategyError(f"a portfolio needs distinct members other than itself; got {named}")
        if not 0 < self.floor <= 1 or self.half_life <= 0 or self.until < 1:
            raise StrategyError(
                "floor must be in (0, 1], half_life above 0 and until at least 1; got "
                f"{self.floor}, {self.half_life}, {self.until}"
            )


class Portfolio:
    """Several strategies on one history, each told every trial, whoever proposed it.

    A member's share of the next proposals follows what its own trials added to the hypervolume of the
    feasible front per second of evaluation, above a floor for everybody. Seconds count in steps of a factor
    of two against the average of the run, and not at all where trials carry none, so that the noise of timing
    does not change a run. While nothing is feasible, lowering the least violation counts. A candidate that
    two members propose is evaluated once and counts for the first.

    Args:
        problem: given to every member, with a child seed each; its seeds are proposed once, before all else.
        settings: see :class:`PortfolioSettings`; its defaults when None.

    Raises:
        StrategyError: none of the members can serve the problem.

    Reference:
        Fialho, Da Costa, Schoenauer, Sebag, "Analyzing bandit-based adaptive operator selection mechanisms",
        2010; of those schemes this is probability matching with faded credit.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo(
        name="portfolio",
        summary="several strategies race on one history; shares follow hypervolume gained per second",
        paper="Analyzing bandit-based adaptive operator selection mechanisms, 10.1007/s10472-010-9213-y",
        finite=True,
        uses_tables=True,
        uses_predictions=True,
    )

    def __init__(self, problem: Problem, *, settings: PortfolioSettings | None = None) -> None:
        self._problem = problem
        self._space = problem.space
        self._settings = settings or PortfolioSettings()
        self._rng = child_rng(problem.seed, "portfolio")
        self._proposals = Proposals(problem)
        self._left_out: dict[str, str] = {}
        self._members: dict[str, Strategy] = {}
        for name in self._settings.members:
            seed = child_seed(problem.seed, "portfolio", name)
            try:
                self._members[name] = make_strategy(name, replace(problem, seed=seed, seeds=()))
            except AutomlError as error:
                self._left_out[name] = str(error)
        if not self._members:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self._left_out.items())
            raise StrategyError(f"no member of the portfolio can serve this problem: {reasons}")
        self._names = list(self._members)
        # credit, trials and seconds of each member, faded
        self._account = np.zeros((3, len(self._names)))
        self._proposed = np.zeros(len(self._names), dtype=np.int64)
        self._owners: dict[str, int] = {}
        self._front = Rated.empty(problem)
        self._told = 0

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted."""
        codes = self._proposals.seeds(count)
        if len(codes) < count:
            drawn = self._rng.choice(len(self._names), size=count - len(codes), p=self._shares())
            wanted = np.bincount(drawn, minlength=len(self._names))
            codes = np.concatenate([codes, self._collected(wanted)])
        if len(codes) < count:
            codes = np.concatenate([codes, self._proposals.random(self._rng, count - len(codes))])
        return self._proposals.candidates(codes)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Credit whoever proposed the trials, then tell them to every member."""
        informs = [self._proposals.informs(trial) for trial in trials]
        told = self._proposals.read(trials)
        added = np.zeros(len(trials))
        added[informs] = progress(told.points, told.violations, self._front.points, self._front.violations)
        fade = 0.5 ** (1.0 / self._settings.half_life)
        for trial, gain in zip(trials, added, strict=True):
            self._account *= fade
            owner = self._owners.pop(trial.candidate.digest, None)
            if owner is not None:
                self._account[:, owner] += (gain, 1.0, trial.seconds)
        self._keep(told)
        for name in self._active():
            self._members[name].tell(trials)
        self._told += len(trials)

    @property
    def report(self) -> list[dict[str, Any]]:
        """For each member its share of the next proposals, what it proposed, or why it takes no part."""
        active, shared = self._active(), self._shares()
        rows = [
            {
                "member": name,
                "share": float(shared[i]),
                "proposed": int(self._proposed[i]),
                "reason": "" if name in active else f"retired after {self._settings.until} trials",
            }
            for i, name in enumerate(self._names)
        ]
        left_out = [
            {"member": name, "share": 0.0, "proposed": 0, "reason": reason}
            for name, reason in self._left_out.items()
        ]
        return rows + left_out

    @property
    def remarks(self) -> tuple[str, ...]:
        """Who proposed how much, who was left out and why, and what the members themselves remark."""
        proposed = ", ".join(f"{row['member']} {row['proposed']}" for row in self.report if row["proposed"])
        left_out = tuple(f"portfolio without {name}: {reason}" for name, reason in self._left_out.items())
        members = [m for name in self._active() if isinstance(m := self._members[name], Remarking)]
        inner = tuple(remark for member in members for remark in member.remarks)
        return (f"portfolio's proposals: {proposed or 'none'}", *left_out, *inner)

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        """What its members learned."""
        members = [m for name in self._active() if isinstance(m := self._members[name], Learning)]
        return tuple(curve for member in members for curve in member.curves)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "strategy": self.info.name,
            "space": self._space.fingerprint,
            "rng": rng_state(self._rng),
            "seen": self._proposals.keys,
            "told": self._told,
            "account": self._account.tolist(),
            "proposed": self._proposed.tolist(),
            "owners": dict(self._owners),
            "front": self._front.state,
            "members": {name: self._members[name].state_dict() for name in self._active()},
            "report": self.report,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`.

        Raises:
            StrategyError: the state belongs to another strategy, space or list of members.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        self._told = int(state["told"])
        if list(state["members"]) != self._active():
            raise StrategyError(
                f"saved state of the portfolio has the members {', '.join(state['members'])}, this one has "
                f"{', '.join(self._active())}; use the same members, or start a new run"
            )
        restore_rng(self._rng, state["rng"])
        self._proposals.restore(state["seen"])
        self._account = np.array(state["account"], dtype=np.float64)
        self._proposed = np.array(state["proposed"], dtype=np.int64)
        self._owners = {digest: int(owner) for digest, owner in state["owners"].items()}
        self._front = Rated.from_state(self._problem, state["front"])
        for name, saved in state["members"].items():
            self._members[name].load_state_dict(saved)

    def _active(self) -> list[str]:
        late = self._told >= self._settings.until
        return [n for n in self._names if not (late and n.startswith("optuna:"))]

    def _shares(self) -> NDArray[np.float64]:
        """Return the share of every member, 0 for those retired; (n_members,)."""
        active = np.isin(self._names, self._active())
        if not active.any():
            return np.full(len(self._names), 1.0 / len(self._names))
        credit, trials, seconds = self._account[:, active]
        found = np.zeros(len(self._names))
        floor = self._settings.floor / int(active.sum())
        found[active] = shares(credit, trials, duration_steps(seconds, trials), floor=floor)
        return found

    def _collected(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return new codes, ``wanted`` of each member, (n_members,); others make up for what one lacks."""
        parts = [np.empty((0, len(self._space)), dtype=np.int64)]
        order = np.argsort(-self._shares(), kind="stable")
        missing = 0
        for owner in np.flatnonzero(wanted):
            parts.append(self._from_member(int(owner), int(wanted[owner])))
            missing += int(wanted[owner]) - len(parts[-1])
        for owner in order:
            if missing > 0:
                parts.append(self._from_member(int(owner), missing))
                missing -= len(parts[-1])
        return np.concatenate(parts)

    def _from_member(self, owner: int, count: int) -> NDArray[np.int64]:
        name = self._names[owner]
        if name not in self._active():
            return np.empty((0, len(self._space)), dtype=np.int64)
        offered = self._members[name].ask(count)
        codes = self._proposals.fresh(self._space.encode(offered), count)
        self._owners.update({self._space.decode(code).digest: owner for code in codes})
        self._proposed[owner] += len(codes)
        return codes

    def _keep(self, told: Rated) -> None:
        """Keep the feasible front, or the least violating trial while nothing is feasible."""
        known = self._front.joined(told)
        if not len(known):
            return
        feasible = np.flatnonzero(known.violations <= 0)
        if len(feasible):
            self._front = known.take(feasible[nondominated_mask(known.points[feasible])])
        else:
            self._front = known.take(np.array([int(known.violations.argmin())]))
