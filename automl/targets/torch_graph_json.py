"""An fx graph of ATen calls as JSON, and back: every argument is spelled out, nothing is pickled.

Only operators of the namespaces below and plain arithmetic on sizes can be written and are resolved when a
file is read, so a file runs nothing else.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING
from typing import Any

import torch
from torch import fx

from automl.core.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

__all__ = ["graph_from_json", "graph_to_json"]

_NAMESPACES = ("aten", "automl")

_PLAIN: dict[str, Callable[..., Any]] = {
    "operator.getitem": operator.getitem,
    "operator.add": operator.add,
    "operator.sub": operator.sub,
    "operator.mul": operator.mul,
    "operator.floordiv": operator.floordiv,
    "operator.mod": operator.mod,
    "operator.truediv": operator.truediv,
    "operator.pow": operator.pow,
    "operator.neg": operator.neg,
    "operator.eq": operator.eq,
    "operator.ne": operator.ne,
    "operator.ge": operator.ge,
    "operator.gt": operator.gt,
    "operator.le": operator.le,
    "operator.lt": operator.lt,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "math.trunc": math.trunc,
    "torch.sym_float": torch.sym_float,
    "torch.sym_int": torch.sym_int,
    "torch.sym_max": torch.sym_max,
    "torch.sym_min": torch.sym_min,
}
_PLAIN_NAMES = {function: name for name, function in _PLAIN.items()}

#: Values of these types are written by the name that they have in the torch module.
_NAMED: tuple[tuple[str, type], ...] = (
    ("dtype", torch.dtype),
    ("layout", torch.layout),
    ("memory_format", torch.memory_format),
)


def _target_name(node: fx.Node) -> str:
    if node.op in ("placeholder", "get_attr"):
        return str(node.target)
    target = node.target
    if isinstance(target, torch._ops.OpOverload) and target.namespace in _NAMESPACES:
        return f"{target.namespace}.{target._opname}.{target._overloadname}"
    if node.op == "call_function" and target in _PLAIN_NAMES:
        return _PLAIN_NAMES[target]
    raise EvaluationError(
        f"the graph's node '{node.name}' calls {target}, which a torch program cannot hold; allowed are ATen "
        "operators and arithmetic on sizes: rewrite the model's forward, or use another target"
    )


def _function(name: str) -> Callable[..., Any]:
    if name in _PLAIN:
        return _PLAIN[name]
    namespace, _, rest = name.partition(".")
    packet, _, overload = rest.rpartition(".")
    found = None
    if namespace in _NAMESPACES:
        found = getattr(getattr(getattr(torch.ops, namespace), packet, None), overload, None)
    if found is None:
        raise EvaluationError(
            f"the program calls '{name}', which torch {torch.__version__} does not have or this version does "
            "not allow; export it with the torch that runs it"
        )
    function: Callable[..., Any] = found
    return function


def _encode(value: Any) -> Any:
    if isinstance(value, fx.Node):
        return {"node": value.name}
    if isinstance(value, bool | str | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, list | tuple):
        return [_encode(v) for v in value]
    if isinstance(value, slice):
        return {"slice": [_encode(v) for v in (value.start, value.stop, value.step)]}
    if isinstance(value, torch.device):
        return {"device": value.type}
    for kind, cls in _NAMED:
        if isinstance(value, cls):
            return {kind: str(value).removeprefix("torch.")}
    raise EvaluationError(
        f"the graph has an argument of type {type(value).__name__}, which a torch program cannot hold; "
        "allowed are numbers, texts, types and values: use another target"
    )


def _decode(value: Any, nodes: Mapping[str, fx.Node]) -> Any:
    if isinstance(value, list):
        return [_decode(v, nodes) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "node":
        return nodes[held]
    if kind == "float":
        return float(held)
    if kind == "slice":
        return slice(*(_decode(v, nodes) for v in held))
    if kind == "device":
        return torch.device(held)
    if kind in {name for name, _ in _NAMED}:
        return getattr(torch, held)
    raise EvaluationError(f"the program holds an argument '{kind}' that this version does not know")


def graph_to_json(graph: fx.Graph) -> list[list[Any]]:
    """Return the graph as rows [operation, name, target, args, kwargs], in execution order.

    Raises:
        EvaluationError: a node calls something that cannot be written.
    """
    rows: list[list[Any]] = []
    for node in graph.nodes:
        kwargs = {k: _encode(v) for k, v in node.kwargs.items()}
        target = "output" if node.op == "output" else _target_name(node)
        args = _encode(list(node.args)) if node.op != "placeholder" else []
        rows.append([node.op, node.name, target, args, kwargs])
    return rows


def graph_from_json(rows: list[list[Any]]) -> fx.Graph:
    """Return the graph of :func:`graph_to_json`; names of nodes are kept.

    Raises:
        EvaluationError: a row is damaged, or calls something that this torch does not have.
    """
    graph = fx.Graph()
    nodes: dict[str, fx.Node] = {}
    try:
        for op, name, target, args, kwargs in rows:
            values = tuple(_decode(args, nodes))
            named = {k: _decode(v, nodes) for k, v in kwargs.items()}
            call: Any = _function(target) if op == "call_function" else target
            if op not in ("placeholder", "get_attr", "call_function", "output"):
                raise EvaluationError(f"the program holds an operation '{op}'; write it again")
            nodes[name] = graph.create_node(op, call, values, named, name)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EvaluationError(f"the program is damaged ({error}); write it again") from error
    return graph
