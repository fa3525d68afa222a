"""Which samplers the installed Optuna has, by short name, and how each is built for a space of options."""

from __future__ import annotations

import inspect
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from automl.core.errors import MissingExtraError
from automl.core.errors import StrategyError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

    from automl.searchspaces.space import SearchSpace

__all__ = [
    "build_sampler",
    "distributions_of",
    "is_single_objective",
    "new_study",
    "sampler_class",
    "short_names",
]

#: A covariance over more dimensions than this is kept diagonal: the full one costs their cube.
_FULL_COVARIANCE = 64
_SINGLE_OBJECTIVE = frozenset({"CmaEsSampler"})
_NO_CATEGORIES = frozenset({"CmaEsSampler"})
_NEEDS = {"CmaEsSampler": "cmaes"}
_SUFFIX = "Sampler"


def _short(class_name: str) -> str:
    return class_name.removesuffix(_SUFFIX).lower()


def _required(sampler: type[BaseSampler]) -> list[str]:
    """Return the constructor's arguments that have no default."""
    parameters = list(inspect.signature(sampler.__init__).parameters.values())[1:]
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]


def _listed() -> dict[str, type[BaseSampler]]:
    names = [n for n in optuna.samplers.__all__ if n.endswith(_SUFFIX)]
    classes = {_short(n): getattr(optuna.samplers, n) for n in names}
    return {n: c for n, c in classes.items() if not inspect.isabstract(c)}


def short_names() -> list[str]:
    """Return the short names of the samplers that can be built: ``tpe`` for ``TPESampler``, and so on."""
    return sorted(name for name, found in _listed().items() if not _required(found))


def sampler_class(name: str) -> type[BaseSampler]:
    """Return the sampler with the short name or class name ``name``, in any case.

    Raises:
        StrategyError: the installed Optuna has no such sampler, or it needs arguments that only its user
            knows, for example a grid.
    """
    wanted = name.lower().removesuffix(_SUFFIX.lower())
    classes = _listed()
    if wanted not in classes:
        raise StrategyError(unknown_name("Optuna sampler", name, short_names()))
    needed = _required(classes[wanted])
    if needed:
        raise StrategyError(
            f"Optuna's {classes[wanted].__name__} cannot be built without {', '.join(needed)}, which a "
            f"search does not know; choose one of: {', '.join(short_names())}"
        )
    return classes[wanted]


def is_single_objective(sampler: type[BaseSampler]) -> bool:
    """Return whether the sampler refuses more than one objective."""
    return sampler.__name__ in _SINGLE_OBJECTIVE


def build_sampler(sampler: type[BaseSampler], seed: int, n_dimensions: int) -> BaseSampler:
    """Return a seeded sampler; what it would warn about is settled here.

    TPE models all dimensions jointly, which is not its default for several objectives: dimension by dimension
    it needs about 20 times as long for a proposal and, measured at 200 evaluations on 20 and 53 dimensions of
    4 and 2 options, covers less.

    Args:
        sampler: a class of :func:`sampler_class`.
        seed: any non-negative integer.
        n_dimensions: CMA-ES keeps a full covariance with margin up to 64 dimensions, a diagonal one above.

    Raises:
        MissingExtraError: the sampler needs a package that is not installed.
    """
    name = sampler.__name__
    package = _NEEDS.get(name)
    if package is not None and find_spec(package) is None:
        raise MissingExtraError(
            f"optuna:{_short(name)} needs the package '{package}', which is not installed; install it with "
            f"'pip install {package}' or use --strategy optuna:tpe"
        )
    arguments: dict[str, Any] = {
        "seed": seed % 2**32,
        "multivariate": True,
        "warn_independent_sampling": False,
        "scramble": True,
        "with_margin": n_dimensions <= _FULL_COVARIANCE,
        "use_separable_cma": n_dimensions > _FULL_COVARIANCE,
    }
    accepted = inspect.signature(sampler.__init__).parameters
    with warnings.catch_warnings():
        # experimental and deprecated arguments are named here on purpose
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return sampler(**{k: v for k, v in arguments.items() if k in accepted})


def new_study(n_objectives: int, sampler: BaseSampler) -> optuna.Study:
    """Return an empty in-memory study that minimizes; without Optuna's line of information on stderr."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.InMemoryStorage()
        return optuna.create_study(storage=storage, sampler=sampler, directions=["minimize"] * n_objectives)
    finally:
        optuna.logging.set_verbosity(before)


def distributions_of(space: SearchSpace, sampler: type[BaseSampler]) -> dict[str, BaseDistribution]:
    """Return one distribution of option positions a dimension: categories.

    Where the sampler takes no categories (CMA-ES), ordered options are whole numbers; it draws the others at
    random.
    """
    found: dict[str, BaseDistribution] = {}
    for dimension in space.dimensions:
        n = len(dimension.options)
        if dimension.ordinal and sampler.__name__ in _NO_CATEGORIES:
            found[dimension.name] = IntDistribution(0, n - 1)
        else:
            found[dimension.name] = CategoricalDistribution(tuple(range(n)))
    return found
