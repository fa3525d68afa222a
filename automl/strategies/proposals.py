"""What was proposed and what came back: the bookkeeping every strategy that learns from trials shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.budget import total_violation
from automl.strategies.operators.dedup import SeenCodes
from automl.strategies.operators.sampling import sample_fresh
from automl.strategies.rated import Rated

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterable
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.core.trial import Trial
    from automl.strategies.base import Problem

__all__ = ["Proposals"]


class Proposals:
    """Remembers what was proposed or evaluated anywhere, and reads trials.

    The untouched model counts as proposed, since it is trial 0.

    Args:
        problem: gives the space, the seeds, the objectives and the budgets.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._space = problem.space
        self._asked: dict[Candidate, NDArray[np.int64]] = {}
        self.seen = SeenCodes()
        self.seen.add(self._space.default_code[None])
        self._seeds = self.seen.fresh(self._space.repair(self._space.encode(problem.seeds)))

    def seeds(self, count: int) -> NDArray[np.int64]:
        """Return up to ``count`` of the problem's seeds that were not proposed yet; remembers them."""
        return self._taken(self.seen.fresh(self._seeds)[: max(count, 0)])

    def random(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Return up to ``count`` new random codes, fewer when hardly any are left; remembers them."""
        return self._taken(sample_fresh(self._space, rng, count, self.seen))

    def fresh(self, codes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return the first ``count`` rows of ``codes`` that are new, without repeats; remembers them."""
        return self._taken(self.seen.fresh(codes)[: max(count, 0)])

    def generation(
        self,
        rng: np.random.Generator,
        count: int,
        *,
        start: int,
        breed: Callable[[int], NDArray[np.int64]] | None,
    ) -> NDArray[np.int64]:
        """Return up to ``count`` new codes as a population asks for them, fewer only when few are left.

        Seeds come first, then random codes until the start population is proposed, then children.

        Args:
            rng: for the random codes.
            count: how many.
            start: members of the start population that are still to be proposed.
            breed: wanted -> new children that are remembered, possibly fewer; None without parents.
        """
        codes = self.seeds(count)
        start -= len(codes)
        if breed is not None and len(codes) < count and start < count - len(codes):
            codes = np.concatenate([codes, self.random(rng, max(start, 0))])
            codes = np.concatenate([codes, breed(count - len(codes))])
        if len(codes) < count:
            codes = np.concatenate([codes, self.random(rng, count - len(codes))])
        return codes

    def candidates(self, codes: NDArray[np.int64]) -> list[Candidate]:
        """Return the candidates of remembered ``codes``; reading their trials then costs no encoding."""
        found = [self._space.decode(code) for code in codes]
        self._asked.update(zip(found, codes, strict=True))
        return found

    def read(self, trials: Sequence[Trial]) -> Rated:
        """Remember every trial's candidate and return the ratings of those that :meth:`informs`, in order."""
        codes = np.empty((len(trials), len(self._space)), dtype=np.int64)
        for row, trial in enumerate(trials):
            # encoding is the dear part, so what was proposed here is remembered
            known = self._asked.pop(trial.candidate, None)
            codes[row] = self._space.encode([trial.candidate])[0] if known is None else known
        self.seen.add(codes)
        rows = [i for i, trial in enumerate(trials) if self.informs(trial)]
        told = [m for m in (trials[i].measurement for i in rows) if m is not None]
        points = [[o.loss(m) for o in self._problem.objectives] for m in told]
        return Rated(
            codes[rows],
            np.array(points, dtype=np.float64).reshape(len(rows), len(self._problem.objectives)),
            np.array([total_violation(self._problem.budgets, m) for m in told], dtype=np.float64),
        )

    @property
    def keys(self) -> list[str]:
        """What is remembered, as plain JSON."""
        return self.seen.keys

    def restore(self, keys: Iterable[str]) -> None:
        """Set what is remembered to :attr:`keys` of another object."""
        self.seen = SeenCodes(keys)
        self._asked = {}

    def informs(self, trial: Trial) -> bool:
        """Return whether a trial has every objective and every hard budget's metric.

        Failed trials have none, and a cheap fidelity may skip some, for example timing.
        """
        needed = [o.metric for o in self._problem.objectives]
        needed += [b.metric for b in self._problem.budgets if b.hard]
        return trial.measurement is not None and all(metric in trial.measurement for metric in needed)

    def _taken(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        self.seen.add(codes)
        return codes
