"""Optuna's samplers as strategies: ``optuna:tpe``, ``optuna:gp``, any sampler of the installed Optuna."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np
import optuna
from optuna.samplers import BaseGASampler

from automl.core.errors import StrategyError
from automl.core.rng import child_rng
from automl.core.rng import child_seed
from automl.strategies.base import StrategyInfo
from automl.strategies.operators.dedup import code_keys
from automl.strategies.optuna_build import build_sampler
from automl.strategies.optuna_build import distributions_of
from automl.strategies.optuna_build import is_single_objective
from automl.strategies.optuna_build import new_study
from automl.strategies.optuna_build import sampler_class
from automl.strategies.proposals import Proposals
from automl.strategies.saved_state import check_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.budget import Budget
    from automl.core.candidate import Candidate
    from automl.core.measurement import Measurement
    from automl.core.trial import Trial
    from automl.strategies.base import Problem

__all__ = ["OptunaSampler"]

#: Proposals of the sampler that may be known already before a random new candidate takes their place.
_TRIES = 8
_PAPERS = {
    "tpe": "Multiobjective tree-structured Parzen estimator, 10.1613/jair.1.13188",
    "gp": "Unexpected improvements to expected improvement for Bayesian optimization, arXiv 2310.20708",
    "nsgaii": "A fast and elitist multiobjective genetic algorithm: NSGA-II, 10.1109/4235.996017",
    "nsgaiii": "An evolutionary many-objective optimization algorithm (NSGA-III), 10.1109/TEVC.2013.2281535",
    "cmaes": "CMA-ES with margin, 10.1145/3512290.3528827",
    "qmc": "Random search for hyper-parameter optimization, JMLR 13, 2012",
}
_NOTES = {
    "gp": "; half a second a proposal at 10 dimensions, 6 at 200, 25 at 500",
    "cmaes": "; minimizes the first objective under the hard budgets",
}


def signed_excess(budget: Budget, measurement: Measurement) -> float:
    """Return by which fraction of the limit a measurement exceeds it; not positive exactly when it is met."""
    missed = budget.violation(measurement)
    if missed > 0.0:
        return missed
    value = measurement[budget.metric].value
    over = budget.limit - value if budget.at_least else value - budget.limit
    return min(over / (abs(budget.limit) or 1.0), 0.0)


def constrained_value(loss: float, excess: Sequence[float]) -> float:
    """Return one number in which every feasible loss, in (-1, 1), comes before every violation, above 1."""
    violation = sum(max(e, 0.0) for e in excess)
    return 1.0 + violation if violation > 0.0 else loss / (1.0 + abs(loss))


class OptunaSampler:
    """One of Optuna's samplers on an in-memory study; the ledger stays the record of the run.

    Options are categories to the sampler; losses are minimized; each hard budget is a constraint, by which
    fraction of its limit it is exceeded. Failed trials and complete ones without an objective or a budget's
    metric fail in the study. Trials from elsewhere join it, those of a genetic sampler with the generation
    that is being bred; a candidate told again is one more trial. What the sampler proposes is repaired; when
    it keeps proposing what is known, a random new candidate takes its place.

    CMA-ES learns from its own candidates alone, takes one objective and no categories: it minimizes the first
    objective under the hard budgets, ordered options are whole numbers to it, and options without order are
    drawn at random.

    Saved state is the history of asks and tells. Restoring runs the sampler through that history again, so
    whatever it keeps inside is as it was, nothing has to be unpickled, and it takes as long as the asks did.

    Args:
        problem: objectives and hard budgets decide; prices and predictions are not looked at.

    Raises:
        MissingExtraError: the sampler needs a package that is not installed.
    """

    info: ClassVar[StrategyInfo] = StrategyInfo("optuna", "a sampler of the installed Optuna, by name")
    sampler: ClassVar[str] = "random"

    @classmethod
    @cache
    def variant(cls, name: str) -> type[OptunaSampler]:
        """Return the strategy of the sampler with the short name or class name ``name``.

        Raises:
            StrategyError: there is no such sampler, or it cannot be built without more arguments.
        """
        found = sampler_class(name)
        short = found.__name__.removesuffix("Sampler").lower()
        info = StrategyInfo(
            name=f"optuna:{short}",
            summary=f"Optuna's {found.__name__}{_NOTES.get(short, '')}",
            paper=_PAPERS.get(short, ""),
            finite=True,
            multi_objective=not is_single_objective(found),
        )
        return type(f"Optuna{found.__name__}", (cls,), {"info": info, "sampler": short})

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._space = problem.space
        self._hard = [b for b in problem.budgets if b.hard]
        self._chosen = sampler_class(self.sampler)
        self._single = is_single_objective(self._chosen)
        self._distributions = distributions_of(problem.space, self._chosen)
        self._begin()

    def ask(self, count: int) -> list[Candidate]:
        """Return up to ``count`` new candidates; fewer only when the space is exhausted.

        Raises:
            StrategyError: the sampler cannot serve this space.
        """
        if count <= 0:
            return []
        candidates, keys = self._proposed(count)
        self._log.append({"ask": count, "keys": keys})
        return candidates

    def tell(self, trials: Sequence[Trial]) -> None:
        """Finish the study's trials and add those from elsewhere."""
        rows = [self._row(trial) for trial in trials]
        if rows:
            self._log.append({"tell": rows})
        for row in rows:
            self._take(*row)

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"strategy": self.info.name, "space": self._space.fingerprint, "log": list(self._log)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict` by running the sampler through its history.

        Raises:
            StrategyError: the state belongs to another strategy or space, or the sampler takes another course
                here than where it was saved.
        """
        check_state(state, self.info.name, self._space.fingerprint)
        self._begin()
        for entry in state["log"]:
            if "tell" in entry:
                for row in entry["tell"]:
                    self._take(*row)
            elif self._proposed(entry["ask"])[1] != entry["keys"]:
                raise StrategyError(
                    f"{self.info.name} proposes other candidates than when its state was saved (Optuna "
                    f"{optuna.__version__} here); continue with the version and machine that saved it, or "
                    "start a new run"
                )
        self._log.extend(state["log"])

    def _begin(self) -> None:
        """Start from an empty study."""
        seed = child_seed(self._problem.seed, self.info.name)
        width = 1 if self._single else len(self._problem.objectives)
        self._study = new_study(width, build_sampler(self._chosen, seed, len(self._space)))
        self._rng = child_rng(self._problem.seed, self.info.name)
        self._proposals = Proposals(self._problem)
        self._numbers: dict[Candidate, int] = {}
        self._flying: dict[int, optuna.Trial] = {}
        self._asked = 0
        self._log: list[dict[str, Any]] = []

    def _proposed(self, count: int) -> tuple[list[Candidate], list[str]]:
        """Return up to ``count`` new candidates and their keys; they are in flight from here on."""
        candidates: list[Candidate] = []
        keys: list[str] = []
        while len(candidates) < count and (found := self._next()) is not None:
            code, trial = found
            candidates.append(self._space.decode(code))
            keys += code_keys(code[None])
            self._numbers[candidates[-1]] = self._asked
            self._flying[self._asked] = trial
            self._asked += 1
        return candidates, keys

    def _next(self) -> tuple[NDArray[np.int64], optuna.Trial] | None:
        """Return the next new code and its running trial; None when the space is exhausted."""
        seed = self._proposals.seeds(1)
        if len(seed):
            return seed[0], self._placed(seed[0])
        for _ in range(_TRIES):
            trial = self._sampled()
            drawn = np.array([[trial.params[d.name] for d in self._space.dimensions]], dtype=np.int64)
            fresh = self._proposals.fresh(self._space.repair(drawn), 1)
            if len(fresh):
                return fresh[0], trial
            self._finish(trial, None)
        left = self._proposals.random(self._rng, 1)
        return (left[0], self._placed(left[0])) if len(left) else None

    def _sampled(self) -> optuna.Trial:
        try:
            return self._study.ask(self._distributions)
        except (ValueError, RecursionError) as error:
            raise StrategyError(
                f"{self.info.name} cannot propose in a space of {len(self._space)} dimensions: {error}; "
                "use another sampler, for example optuna:tpe"
            ) from error

    def _placed(self, code: NDArray[np.int64]) -> optuna.Trial:
        """Return a running trial of ``code``, which the sampler did not choose."""
        self._study.enqueue_trial(self._params(code))
        trial = self._sampled()
        sampler = self._study.sampler
        if isinstance(sampler, BaseGASampler):
            # only trials of a generation are parents, and what is placed gets none by itself
            sampler.get_trial_generation(self._study, self._study.get_trials(deepcopy=False)[-1])
        return trial

    def _params(self, code: NDArray[np.int64]) -> dict[str, int]:
        return {d.name: int(i) for d, i in zip(self._space.dimensions, code, strict=True)}

    def _row(self, trial: Trial) -> list[Any]:
        """Return [number of the proposal, or the code of one from elsewhere; losses or None; excess]."""
        place: int | list[int] | None = self._numbers.pop(trial.candidate, None)
        if place is None:
            place = self._space.encode([trial.candidate])[0].tolist()
        if trial.measurement is None or not self._proposals.informs(trial):
            return [place, None, []]
        losses = [o.loss(trial.measurement) for o in self._problem.objectives]
        return [place, losses, [signed_excess(b, trial.measurement) for b in self._hard]]

    def _take(self, place: int | list[int], losses: list[float] | None, excess: list[float]) -> None:
        if isinstance(place, int):
            self._finish(self._flying.pop(place), losses, excess)
            return
        code = np.array(place, dtype=np.int64)
        self._proposals.seen.add(code[None])
        if losses is None:
            return
        if isinstance(self._study.sampler, BaseGASampler):
            self._finish(self._placed(code), losses, excess)
            return
        added = optuna.trial.create_trial(
            params=self._params(code),
            distributions=self._distributions,
            values=self._values(losses, excess),
            constraints=None if self._single else self._constraints(excess),
        )
        self._study.add_trial(added)

    def _finish(self, trial: optuna.Trial, losses: list[float] | None, excess: Sequence[float] = ()) -> None:
        try:
            if losses is None:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                return
            if not self._single:
                for name, value in self._constraints(excess).items():
                    trial.set_constraint(name, value)
            self._study.tell(trial, self._values(losses, excess))
        except RuntimeError:
            # A sampler that has seen every member stops the study, which is allowed in Optuna's loop alone;
            # the trial is recorded before.
            return

    def _values(self, losses: list[float], excess: Sequence[float]) -> list[float]:
        return [constrained_value(losses[0], excess)] if self._single else losses

    def _constraints(self, excess: Sequence[float]) -> dict[str, float]:
        return {b.text: e for b, e in zip(self._hard, excess, strict=True)}
