"""What a roofline says of a model on a device: bytes, intensity, bound and least time of every operator.

The bytes follow the precision option; int8 peaks need weights and activations (and a cache, where one is
read) of at most 8 bits, so a weight-only option buys bytes and no arithmetic. The sum over operators is a
lower bound for kernels that reach the device's peaks and overlap arithmetic with memory.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from automl.core.errors import SpaceError
from automl.core.errors import unknown_name
from automl.evaluators.latency_features import latency_class
from automl.evaluators.roofline_math import Work
from automl.evaluators.roofline_math import attention_work
from automl.evaluators.roofline_math import conv_work
from automl.evaluators.roofline_math import crossover_rows
from automl.evaluators.roofline_math import elementwise_work
from automl.evaluators.roofline_math import embedding_work
from automl.evaluators.roofline_math import fused_attention_work
from automl.evaluators.roofline_math import linear_work
from automl.evaluators.roofline_math import norm_work
from automl.evaluators.roofline_math import ridge
from automl.evaluators.roofline_math import roofline_s
from automl.evaluators.roofline_math import softmax_work
from automl.evaluators.roofline_operators import Operator
from automl.evaluators.roofline_operators import operators_of
from automl.evaluators.size import site_size
from automl.transforms.precision import FLOAT_OPTIONS
from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import Site
    from automl.targets.devices import Device

__all__ = ["Priced", "Roofline", "compute_type", "weight_bytes"]

_FLOAT_BYTES = {"f32": 4.0, "bf16": 2.0}
#: Operations that turning a stored weight into a float costs: subtract or convert, scale.
DEQUANTIZE_OPS = 2.0


def compute_type(
    float_type: str, weight_bits: int, activation_bits: int | None, kv_bits: int | None = None
) -> str:
    """Return the type of the matrix units: ``int8`` only when everything they read has at most 8 bits.

    Args:
        float_type: type of what is not quantized.
        weight_bits: bits of a weight.
        activation_bits: bits of an activation, None for float.
        kv_bits: bits of the cache when the operator reads one and it is quantized; None when it reads none.
    """
    narrow = weight_bits <= 8 and activation_bits is not None and activation_bits <= 8
    return "int8" if narrow and (kv_bits is None or kv_bits <= 8) else float_type


def weight_bytes(site: Site, option: str, float_type: str) -> float:
    """Return the bytes of a weight that a run reads, scales included.

    Options with 8-bit activations run the int8 kernels, which read 8 bits whatever is stored.
    """
    if parse_precision(option).is_float:
        return _FLOAT_BYTES[float_type] * site.n_weights
    return float(site_size(site, latency_class(option)).total_bytes)


@dataclass(frozen=True)
class Priced:
    """One operator on a device.

    Args:
        operator: what was priced.
        option: precision option of its site, ``fp`` without a site.
        work: operations and bytes.
        ms: least milliseconds, start of its kernels included.
        bound: ``compute``, ``memory`` or ``launch``, whichever takes most of them.
        peak: type of its matrix products.
        compute_ms: milliseconds of arithmetic alone at the peak.
        memory_ms: milliseconds of memory alone at the bandwidth.
        kernels: how many kernels it is.
    """

    operator: Operator
    option: str
    work: Work
    ms: float
    bound: str
    peak: str
    compute_ms: float
    memory_ms: float
    kernels: int


class Roofline:
    """Prices candidates of one model on one device.

    Args:
        graph: the traced model.
        device: peaks and bandwidth.
        batch: samples of a run.
        decode: price one new token a sequence against a cache.
        context: tokens in the cache, the new one included; the traced length when None.

    Raises:
        EvaluationError: as :func:`operators_of`.
    """

    def __init__(
        self,
        graph: ModelGraph,
        device: Device,
        *,
        batch: int = 1,
        decode: bool = False,
        context: int | None = None,
    ) -> None:
        self.graph, self.device = graph, device
        self.operators = operators_of(graph, batch=batch, decode=decode, context=context)
        self._known: dict[tuple[str, str, str], Priced] = {}

    @cached_property
    def by_site(self) -> dict[str, tuple[Operator, ...]]:
        """Operators of every site; several when it is applied more than once."""
        found: dict[str, list[Operator]] = defaultdict(list)
        for operator in self.operators:
            if operator.site is not None:
                found[operator.site].append(operator)
        return {name: tuple(rows) for name, rows in found.items()}

    def price(self, operator: Operator, option: str = "fp", float_type: str = "f32") -> Priced:
        """Return work and least time of an operator under a precision option.

        Raises:
            SpaceError: unknown option or float type.
        """
        key = (operator.name, option, float_type)
        if key not in self._known:
            self._known[key] = self._price(operator, option, float_type)
        return self._known[key]

    def site_ms(self, site: str, option: str = "fp", float_type: str = "f32") -> float:
        """Return the least milliseconds of a site under an option.

        Raises:
            SpaceError: unknown site, option or float type.
        """
        if site not in self.by_site:
            raise SpaceError(unknown_name("site", site, self.by_site))
        return sum(self.price(o, option, float_type).ms for o in self.by_site[site])

    def rest_ms(self, float_type: str = "f32") -> float:
        """Return the least milliseconds of everything that is no site."""
        return sum(self.price(o, "fp", float_type).ms for o in self.operators if o.site is None)

    def latency_ms(self, precisions: Mapping[str, str], float_type: str = "f32") -> float:
        """Return the least milliseconds of a candidate; sites without an entry are ``fp``.

        Raises:
            SpaceError: unknown site, option or float type.
        """
        strange = sorted(set(precisions) - set(self.graph.site_by_name))
        if strange:
            raise SpaceError(unknown_name("site", strange[0], self.graph.site_by_name))
        sites = sum(self.site_ms(s, precisions.get(s, "fp"), float_type) for s in self.by_site)
        return sites + self.rest_ms(float_type)

    def turns_at_rows(self, operator: Operator, float_type: str = "f32") -> float | None:
        """Return the rows from which a float matrix layer is limited by arithmetic; None when it never is.

        Raises:
            SpaceError: unknown float type.
        """
        if operator.site is None or self.graph.site(operator.site).op != "linear":
            return None
        if float_type not in _FLOAT_BYTES:
            raise SpaceError(unknown_name("float type", float_type, FLOAT_OPTIONS))
        d_out, d_in = self.graph.site(operator.site).weight_shape
        width, at = _FLOAT_BYTES[float_type], ridge(self.device.peak(float_type), self.device.bandwidth)
        rows = crossover_rows(d_in, d_out, at, weight=width, read=width, write=width)
        return rows if math.isfinite(rows) else None

    def table(self, precisions: Mapping[str, str], float_type: str = "f32") -> list[Priced]:
        """Return every operator of a candidate in execution order.

        Raises:
            SpaceError: unknown option or float type.
        """
        return [self.price(o, precisions.get(o.site or "", "fp"), float_type) for o in self.operators]

    def _price(self, operator: Operator, option: str, float_type: str) -> Priced:
        if float_type not in _FLOAT_BYTES:
            raise SpaceError(unknown_name("float type", float_type, FLOAT_OPTIONS))
        kernels = self._kernels(operator, option, float_type)
        precision = parse_precision(option)
        peak = compute_type(float_type, precision.weight_bits, precision.activation_bits)
        device, work, seconds = self.device, Work(), 0.0
        starts = device.launch_s * len(kernels)
        for kernel in kernels:
            work = work + kernel
            seconds += roofline_s(kernel, device.peak(peak), device.vector_ops_s, device.bandwidth)
        memory = work.total_bytes / device.bandwidth
        arithmetic = max(2.0 * work.macs / device.peak(peak), work.ops / device.vector_ops_s)
        bound = "launch" if starts > seconds else "memory" if memory >= arithmetic else "compute"
        return Priced(
            operator,
            option,
            work,
            1e3 * (seconds + starts),
            bound,
            peak,
            1e3 * arithmetic,
            1e3 * memory,
            len(kernels),
        )

    def _kernels(self, operator: Operator, option: str, float_type: str) -> list[Work]:
        act = _FLOAT_BYTES[float_type]
        extra = Work(ops=operator.ops, read_bytes=operator.operands * act)
        if operator.attention is not None:
            a = operator.attention
            shape = (a.sequences, a.new, a.context, a.heads, a.kv_heads, a.head)
            if self.device.fused_attention:
                return [fused_attention_work(*shape, act=act, kv=act) + extra]
            first, middle, second = attention_work(*shape, act=act, kv=act)
            return [first, middle + extra, second]
        if operator.kind == "norm":
            parameters = Work(read_bytes=(operator.reads - operator.writes) * act)
            return [norm_work(operator.writes, act=act) + parameters + extra]
        if operator.kind == "softmax":
            return [softmax_work(operator.writes, act=act) + extra]
        if operator.site is not None:
            return [self._layer(operator, self.graph.site(operator.site), option, float_type) + extra]
        if operator.kind == "embedding":
            return [embedding_work(1.0, operator.writes, weight=_FLOAT_BYTES["f32"], write=act) + extra]
        if operator.kind == "elementwise":
            each = operator.ops / operator.writes if operator.writes else 0.0
            reads = operator.reads + operator.operands
            return [elementwise_work(operator.writes, ops=each, read_elements=reads, act=act)]
        moved = Work(operator.macs, read_bytes=operator.reads * act, write_bytes=operator.writes * act)
        return [moved + extra]

    def _layer(self, operator: Operator, site: Site, option: str, float_type: str) -> Work:
        """Return the work of a site's own weight under an option."""
        act, precision = _FLOAT_BYTES[float_type], parse_precision(option)
        if site.op == "embedding":
            return embedding_work(1.0, operator.writes, weight=_FLOAT_BYTES["f32"], write=act)
        d_out, each = site.weight_shape[0], math.prod(site.weight_shape[1:])
        rows = operator.macs / site.n_weights
        weight = weight_bytes(site, option, float_type) / site.n_weights
        read = act if precision.activation_bits is None else 1.0
        dequantize = DEQUANTIZE_OPS if precision.weight_only else 0.0
        if site.op == "linear":
            return linear_work(rows, each, d_out, weight=weight, read=read, write=act, dequantize=dequantize)
        return conv_work(
            rows,
            d_out,
            each,
            in_elements=operator.reads,
            weight=weight,
            read=read,
            write=act,
            dequantize=dequantize,
        )
