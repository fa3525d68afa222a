"""An autoregressive policy over the dimensions of a space: one categorical decision after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.strategies.gru_math import gru_backward
from automl.strategies.gru_math import gru_forward
from automl.strategies.gru_math import gru_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.searchspaces.space import SearchSpace
    from automl.strategies.gru_math import GruTrace

    Floats = NDArray[np.float32]
    Parameters = dict[str, Floats]

__all__ = ["Forward", "Policy", "PolicyShape"]

_TYPE = np.float32


@dataclass(frozen=True)
class PolicyShape:
    """Sizes of the policy.

    Args:
        hidden: width of the recurrent state.
        embedding: width of the embeddings of the previous choice, the position and the kind.
        contexts: number of context values an episode carries (one weight per objective), at least 1.
    """

    hidden: int = 32
    embedding: int = 16
    contexts: int = 1


@dataclass(frozen=True, eq=False)
class Forward:
    """One pass over given codes, with what the gradient needs.

    Args:
        logs: log-probability of every option, (n_dimensions, n, largest count); -inf where there is none.
        chosen: log-probability of the given options, (n_dimensions, n).
        entropy: of every decision, in nats, (n_dimensions, n).
        codes: what was passed, (n, n_dimensions).
        context: what was passed, (n, contexts).
        previous: the choice read at each step, (n_dimensions, n).
        read: the summed embeddings, (n_dimensions, n, embedding).
        trace: of the recurrent unit.
    """

    logs: Floats
    chosen: Floats
    entropy: Floats
    codes: NDArray[np.int64]
    context: Floats
    previous: NDArray[np.int64]
    read: Floats
    trace: GruTrace


class Policy:
    """p(code | context) = product over dimensions of p(option | the options before, context).

    A GRU reads the embedding of the previous choice plus those of the dimension's position and kind; one head
    per option count turns its state into logits, and every dimension adds a bias of its own, mixed by the
    context. Heads and biases start at zero, so an untrained policy is uniform.

    Args:
        space: the space; dimensions with one option are decisions without a choice.
        shape: sizes.
        rng: draws the starting weights.

    Reference:
        Zoph, Le, "Neural Architecture Search with Reinforcement Learning", arXiv 1611.01578. The bias of each
        dimension and the context are ours.
    """

    def __init__(self, space: SearchSpace, shape: PolicyShape, rng: np.random.Generator) -> None:
        self.cards = space.cardinalities
        self.shape = shape
        kinds = {k: i for i, k in enumerate(dict.fromkeys(d.kind for d in space.dimensions))}
        counts = {c: i for i, c in enumerate(sorted(set(self.cards.tolist())))}
        self._kind = np.array([kinds[d.kind] for d in space.dimensions])
        self._head = np.array([counts[c] for c in self.cards.tolist()])
        self._largest = int(self.cards.max())
        absent = np.arange(self._largest)[None, :] >= self.cards[:, None]
        self._mask = np.where(absent, -np.inf, 0.0).astype(_TYPE)[:, None, :]
        n, h, e = len(self.cards), shape.hidden, shape.embedding

        def drawn(*size: int, scale: float) -> Floats:
            return (scale * rng.standard_normal(size)).astype(_TYPE)

        self.parameters: Parameters = {
            "choice": drawn(self._largest + 1, e, scale=1.0),
            "position": drawn(n, e, scale=1.0),
            "kind": drawn(len(kinds), e, scale=1.0),
            "input": drawn(e, 3 * h, scale=e**-0.5),
            "input_bias": np.zeros(3 * h, dtype=_TYPE),
            "recurrent": drawn(h, 3 * h, scale=h**-0.5),
            "recurrent_bias": np.zeros(3 * h, dtype=_TYPE),
            "start": np.zeros((shape.contexts, h), dtype=_TYPE),
            "head": np.zeros((len(counts), h, self._largest), dtype=_TYPE),
            "bias": np.zeros((shape.contexts, n, self._largest), dtype=_TYPE),
        }

    def __len__(self) -> int:
        return len(self.cards)

    def lean_towards(self, codes: NDArray[np.int64], trust: float) -> None:
        """Set the biases so that ``trust`` of every decision follows the given codes.

        Args:
            codes: (n, n_dimensions), best first; row k counts 1 / (k + 1).
            trust: in [0, 1); the rest stays uniform.
        """
        weights = 1.0 / np.arange(1, len(codes) + 1)
        for t, count in enumerate(self.cards.tolist()):
            shares = np.bincount(codes[:, t], weights / weights.sum(), minlength=count)
            self.parameters["bias"][:, t, :count] = np.log(trust * shares + (1 - trust) / count)

    def sample(
        self,
        uniforms: NDArray[np.float64],
        context: Floats,
        *,
        kept: NDArray[np.int64] | None = None,
        decide: NDArray[np.bool_] | None = None,
        temperature: float = 1.0,
    ) -> tuple[NDArray[np.int64], Floats]:
        """Return codes and the log-probability of each decision, both (n, n_dimensions).

        Args:
            uniforms: numbers in [0, 1) that decide, (n, n_dimensions).
            context: (n, contexts).
            kept: codes (n, n_dimensions) that stay where ``decide`` is false; the policy reads them as given.
            decide: (n, n_dimensions); None decides everything.
            temperature: divides the logits; above 1 explores. The log-probabilities are of what was drawn.
        """
        p = self.parameters
        codes = np.zeros(uniforms.shape, dtype=np.int64) if kept is None else kept.copy()
        chosen = np.zeros(uniforms.shape, dtype=_TYPE)
        of_choice = p["choice"] @ p["input"]
        of_place = (p["position"] + p["kind"][self._kind]) @ p["input"] + p["input_bias"]
        bias = np.einsum("nc,cto->tno", context, p["bias"]) + self._mask
        state = context @ p["start"]
        previous = np.full(len(codes), self._largest)
        rows = np.arange(len(codes))
        for t, count in enumerate(self.cards.tolist()):
            state, _, _ = gru_step(
                of_choice[previous] + of_place[t], state, p["recurrent"], p["recurrent_bias"]
            )
            if count > 1:
                logits = (state @ p["head"][self._head[t]] + bias[t]) / _TYPE(temperature)
                weights = np.exp(logits - logits.max(axis=1, keepdims=True))
                sums = np.cumsum(weights, axis=1)
                drawn = (sums < uniforms[:, t, None] * sums[:, -1:]).sum(axis=1)
                drawn = np.minimum(drawn, count - 1)
                if decide is not None:
                    drawn = np.where(decide[:, t], drawn, codes[:, t])
                codes[:, t] = drawn
                chosen[:, t] = np.log(np.maximum(weights[rows, drawn] / sums[:, -1], 1e-30))
            previous = codes[:, t]
        return codes, chosen

    def forward(self, codes: NDArray[np.int64], context: Floats) -> Forward:
        """Return log-probabilities and entropies of given codes (n, n_dimensions)."""
        p = self.parameters
        steps = codes.T
        previous = np.concatenate([np.full((1, len(codes)), self._largest), steps[:-1]])
        read = p["choice"][previous] + (p["position"] + p["kind"][self._kind])[:, None, :]
        trace = gru_forward(
            read @ p["input"] + p["input_bias"], context @ p["start"], p["recurrent"], p["recurrent_bias"]
        )
        logits = trace.hidden[1:] @ p["head"][self._head]
        logits += np.einsum("nc,cto->tno", context, p["bias"]) + self._mask
        logits -= logits.max(axis=2, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
        chosen = np.take_along_axis(logs, steps[:, :, None], axis=2)[:, :, 0]
        shares = np.exp(logs)
        entropy = -(shares * np.where(shares > 0, logs, 0)).sum(axis=2)
        return Forward(logs, chosen, entropy, codes, context, previous, read, trace)

    def backward(self, forward: Forward, on_chosen: Floats, on_entropy: Floats) -> Parameters:
        """Return the gradient of ``sum(on_chosen * chosen) + sum(on_entropy * entropy)`` by parameter.

        Args:
            forward: a pass of the current parameters.
            on_chosen: (n_dimensions, n).
            on_entropy: (n_dimensions, n).
        """
        p = self.parameters
        trace, read = forward.trace, forward.read
        shares = np.exp(forward.logs)
        safe = np.where(shares > 0, forward.logs, 0)
        to_logits = -shares * (on_chosen + on_entropy * forward.entropy)[:, :, None]
        to_logits -= on_entropy[:, :, None] * shares * safe
        place = forward.codes.T[:, :, None]
        here = np.take_along_axis(to_logits, place, axis=2) + on_chosen[:, :, None]
        np.put_along_axis(to_logits, place, here, axis=2)
        hidden = trace.hidden[1:]
        mixed: Floats = np.einsum("nc,tno->cto", forward.context, to_logits).astype(to_logits.dtype)
        gradient: Parameters = {"bias": mixed}
        per_step = hidden.transpose(0, 2, 1) @ to_logits
        gradient["head"] = _grouped(per_step, self._head, len(p["head"]))
        into_hidden = to_logits @ p["head"][self._head].transpose(0, 2, 1)
        inputs, start, gradient["recurrent"], gradient["recurrent_bias"] = gru_backward(
            trace, p["recurrent"], into_hidden
        )
        gradient["start"] = forward.context.T @ start
        flat = inputs.reshape(-1, inputs.shape[2])
        gradient["input"] = read.reshape(-1, read.shape[2]).T @ flat
        gradient["input_bias"] = flat.sum(axis=0)
        reads: Floats = inputs @ p["input"].T
        gradient["position"] = reads.sum(axis=1)
        gradient["kind"] = _grouped(gradient["position"], self._kind, len(p["kind"]))
        gradient["choice"] = _grouped(
            reads.reshape(-1, reads.shape[2]), forward.previous.ravel(), len(p["choice"])
        )
        return gradient


def _grouped(rows: Floats, group: NDArray[np.int64], n_groups: int) -> Floats:
    """Return the sums of ``rows`` by group, (n_groups, ...)."""
    one_hot = (np.arange(n_groups)[:, None] == group[None, :]).astype(rows.dtype)
    sums: Floats = (one_hot @ rows.reshape(len(rows), -1)).reshape(n_groups, *rows.shape[1:])
    return sums
