"""Find attention that is spelled out as products and a softmax, and call the fused operator instead."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import torch

if TYPE_CHECKING:
    from torch import fx

__all__ = ["fuse_attention"]

aten: Any = torch.ops.aten

_LAST_TWO = ((-1, -2), (-2, -1), (2, 3), (3, 2))
_SOFTMAX = (aten.softmax.int, aten._softmax.default)


@dataclass(frozen=True)
class _Attention:
    """One attention: the nodes of its operands, and the node that its result replaces."""

    query: fx.Node
    key: fx.Node
    value: fx.Node
    mask: fx.Node | None
    scale: float
    result: fx.Node


def fuse_attention(graph: fx.Graph) -> int:
    """Replace every attention that is spelled out; return how many there were.

    ``softmax(q @ k.T * scale + mask) @ v`` of four-dimensional values, scale and mask optional, where nothing
    else reads what lies between.
    """
    found = [a for node in graph.nodes if (a := _match(node)) is not None]
    for attention in found:
        with graph.inserting_before(attention.result):
            fused = graph.call_function(
                aten.scaled_dot_product_attention.default,
                (attention.query, attention.key, attention.value, attention.mask),
                {"scale": attention.scale},
            )
        fused.meta.update(attention.result.meta)
        fused.meta["origins"] = (attention.result.name,)
        attention.result.replace_all_uses_with(fused)
    return len(found)


def _only_read_once(node: Any, target: Any) -> bool:
    return getattr(node, "target", None) in target and len(node.users) == 1


def _match(result: fx.Node) -> _Attention | None:
    """Return the attention that ends at ``result``, or None."""
    value: Any = result.args[1] if len(result.args) > 1 else None
    if result.target is not aten.matmul.default or not all(_four(a) for a in result.args):
        return None
    soft: Any = result.args[0]
    if not _only_read_once(soft, _SOFTMAX) or soft.args[1] not in (-1, 3) or len(soft.args) > 2:
        return None
    scores, mask, scale = soft.args[0], None, 1.0
    if _only_read_once(scores, (aten.add.Tensor,)) and not scores.kwargs:
        sides = [a for a in scores.args if _is_scores(a)]
        if len(sides) != 1 or not all(_four(a) for a in scores.args):
            return None
        mask = next(a for a in scores.args if a is not sides[0])
        scores = sides[0]
    scaled = _scaling(scores)
    if scaled is not None:
        scores, scale = scaled
    if not _only_read_once(scores, (aten.matmul.default,)):
        return None
    turned = scores.args[1]
    if getattr(turned, "target", None) is not aten.transpose.int or tuple(turned.args[1:]) not in _LAST_TWO:
        return None
    return _Attention(scores.args[0], turned.args[0], value, mask, scale, result)


def _four(node: Any) -> bool:
    return hasattr(node, "meta") and node.meta.get("rank") == 4


def _scaling(node: Any) -> tuple[Any, float] | None:
    """Return (unscaled node, factor) of a product or quotient with a number."""
    if len(getattr(node, "args", ())) != 2 or not isinstance(node.args[1], int | float):
        return None
    factor = float(node.args[1])
    if _only_read_once(node, (aten.mul.Tensor, aten.mul.Scalar)):
        return node.args[0], factor
    if _only_read_once(node, (aten.div.Tensor, aten.div.Scalar)) and factor:
        return node.args[0], 1.0 / factor
    return None


def _is_scores(node: Any) -> bool:
    """Whether ``node`` is a product of values, scaled or not, that one node reads."""
    scaled = _scaling(node)
    inner = node if scaled is None else scaled[0]
    return _only_read_once(inner, (aten.matmul.default,)) and math.isfinite(
        1.0 if scaled is None else scaled[1]
    )
