"""Adam on named arrays, with a clipped gradient; its state is plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.strategies.array_state import decode_arrays
from automl.strategies.array_state import encode_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[np.float32]]

__all__ = ["Adam"]


class Adam:
    """Changes named arrays in place along their gradients.

    Args:
        parameters: the arrays it owns the training of; they stay the caller's.
        rate: step size, or one a name.
        clip: largest Euclidean norm of the whole gradient; longer ones are shortened to it.

    Reference:
        Kingma, Ba, "Adam: A Method for Stochastic Optimization", arXiv 1412.6980, with its
        constants .9 and .999.
    """

    def __init__(
        self, parameters: Arrays, rate: float | Mapping[str, float], *, clip: float = np.inf
    ) -> None:
        self._parameters = parameters
        self._rate = {name: rate if isinstance(rate, float) else rate[name] for name in parameters}
        self._clip = clip
        self._steps = 0
        self._mean = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._square = {name: np.zeros_like(value) for name, value in parameters.items()}

    def descend(self, gradient: Mapping[str, NDArray[np.float32]]) -> None:
        """Move every parameter one step against its gradient."""
        norm = float(np.sqrt(sum(float(np.vdot(g, g)) for g in gradient.values())))
        shrink = min(1.0, self._clip / norm) if norm > 0 else 1.0
        self._steps += 1
        corrected = np.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
        for name, parameter in self._parameters.items():
            slope = gradient[name] * np.float32(shrink)
            mean, square = self._mean[name], self._square[name]
            mean += np.float32(0.1) * (slope - mean)
            square += np.float32(0.001) * (slope * slope - square)
            step = np.float32(self._rate[name] * corrected)
            parameter -= step * mean / (np.sqrt(square) + np.float32(1e-8))

    def state_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "steps": self._steps,
            "mean": encode_arrays(self._mean),
            "square": encode_arrays(self._square),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._steps = int(state["steps"])
        decode_arrays(state["mean"], self._mean)
        decode_arrays(state["square"], self._square)
