"""The matrix view of a site: the input rows its weight multiplies, and its weight as grouped matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from automl.core.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import fx

    from automl.searchspaces.graph import Site

__all__ = ["SiteRows", "site_rows"]


@dataclass(frozen=True)
class SiteRows:
    """How a site reads its input.

    Args:
        groups: independent matrices (convolution groups, 1 for a linear layer).
        rows: outputs of each matrix.
        columns: inputs of each matrix, ``in_channels / groups * kernel area``.
        kernel: kernel size, empty for a linear layer.
        stride: stride of each spatial axis.
        padding: padding of each spatial axis, before and after.
        dilation: dilation of each spatial axis.
    """

    groups: int
    rows: int
    columns: int
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    dilation: tuple[int, ...] = ()

    def matrices(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Return a weight (or codes) as (groups, rows, columns)."""
        return weight.reshape(self.groups, self.rows, self.columns)

    def positions(self, x: torch.Tensor) -> int:
        """Return how many rows one sample of the input ``x`` gives."""
        if not self.kernel:
            return int(np.prod(x.shape[1:-1], dtype=np.int64))
        return int(np.prod(self._output_sizes(x), dtype=np.int64))

    def _output_sizes(self, x: torch.Tensor) -> list[int]:
        sizes = []
        for axis, size in enumerate(x.shape[2:]):
            reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
            sizes.append((size + sum(self.padding[axis]) - reach) // self.stride[axis] + 1)
        return sizes

    def inputs(self, x: torch.Tensor, chosen: NDArray[np.int64]) -> torch.Tensor:
        """Return the input rows at chosen output positions.

        Args:
            x: the site's input, batch first.
            chosen: (n_chosen,) flat output positions, the same for every sample.

        Returns:
            (groups, samples, n_chosen, columns).
        """
        index = torch.from_numpy(chosen)
        if not self.kernel:
            return x.reshape(len(x), -1, self.columns)[:, index][None]
        pads = [p for pair in reversed(self.padding) for p in pair]
        padded = functional.pad(x, pads) if any(pads) else x
        places = np.unravel_index(chosen, self._output_sizes(x))
        flat = padded.reshape(len(x), padded.shape[1], -1)
        taps = []
        for tap in np.ndindex(*self.kernel):
            where = [
                p * s + t * d for p, s, t, d in zip(places, self.stride, tap, self.dilation, strict=True)
            ]
            offset = np.ravel_multi_index(where, padded.shape[2:])
            taps.append(flat.index_select(2, torch.from_numpy(offset)))
        gathered = torch.stack(taps, dim=-1)
        n, channels, count, area = gathered.shape
        grouped = gathered.reshape(n, self.groups, channels // self.groups, count, area)
        return grouped.permute(1, 0, 3, 2, 4).reshape(self.groups, n, count, self.columns)

    def outputs(self, y: torch.Tensor, chosen: NDArray[np.int64]) -> torch.Tensor:
        """Return the site's output at chosen positions, (groups, samples, n_chosen, rows)."""
        index = torch.from_numpy(chosen)
        if not self.kernel:
            return y.reshape(len(y), -1, self.rows)[:, index][None]
        picked = y.reshape(len(y), self.groups, self.rows, -1)[..., index]
        return picked.permute(1, 0, 3, 2)


def site_rows(site: Site, node: fx.Node) -> SiteRows | None:
    """Return the matrix view of a site from its ATen node; None for embeddings and transposed convolutions.

    Raises:
        ModelError: the node is neither a linear layer, an embedding, nor a convolution.
    """
    if site.op == "embedding":
        return None
    columns = int(np.prod(site.weight_shape[1:], dtype=np.int64))
    if site.op == "linear":
        return SiteRows(1, site.weight_shape[0], columns)
    if site.op != "conv":
        raise ModelError(
            f"site '{site.name}' has op '{site.op}'; conv, linear and embedding can be quantized"
        )
    if "transpose" in str(node.target):
        return None
    kernel = site.weight_shape[2:]
    args = list(node.args) + [None] * (7 - len(node.args))
    stride = _axes(args[3], len(kernel), 1)
    dilation = _axes(args[5], len(kernel), 1)
    if args[4] == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        padding = tuple((t // 2, t - t // 2) for t in total)
    else:
        padding = tuple((p, p) for p in _axes(None if args[4] == "valid" else args[4], len(kernel), 0))
    rows = site.weight_shape[0] // site.groups
    return SiteRows(site.groups, rows, columns, tuple(kernel), stride, padding, dilation)


def _axes(value: object, n: int, default: int) -> tuple[int, ...]:
    if value is None:
        return (default,) * n
    if isinstance(value, int):
        return (value,) * n
    values = tuple(int(v) for v in value)  # type: ignore[attr-defined]
    return values * n if len(values) == 1 else values
