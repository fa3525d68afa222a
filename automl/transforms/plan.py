"""The quantization plan: which values and weights are quantized, with which numbers.

One plan is realized twice, by ``materialize`` on a torch model and by the targets on the exported graph, and
both must give the same function.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ActivationQuantizer", "QuantizationPlan", "QuantizationRules", "QuantizedWeight"]


@dataclass(frozen=True)
class ActivationQuantizer:
    """Static per-tensor quantizer of a value, ``scale * (clip(round(x / scale) + zero_point) - zero_point)``.

    Args:
        scale: positive step, float32.
        zero_point: integer in [0, 2**bits - 1], so that 0.0 is exact.
        bits: bits of the unsigned code; 8 everywhere a runtime multiplies integers.
    """

    scale: float
    zero_point: int
    bits: int = 8


@dataclass(frozen=True)
class QuantizationRules:
    """Where a runtime wants quantizers besides the inputs of quantized sites, so that it can fuse.

    Args:
        joins: ops (``add``, ``concat``, ...) whose inputs are quantized when every site that feeds them and
            every site that reads them (looking through ``passthrough``) has 8-bit activations.
        reductions: ops (``mean``, ``avg_pool``, ...) whose input is quantized under the same condition.
        passthrough: ops that keep codes valid (``max_pool``, ``reshape``, ``flatten``, ``transpose``, zero
            ``pad``): the quantizer of a reader moves above them.
        first_and_last: whether a site may read the model's own input quantized.
        residuals: whether an addition to a convolution's own result reads its other input quantized, under
            the condition of joins, because the convolution adds codes before it rounds.
        saturating: whether pairs of int8 products are added in 16 bits, which overflows unless weights that
            meet 8-bit activations keep to 7 bits.
    """

    joins: tuple[str, ...] = ("add",)
    reductions: tuple[str, ...] = ("mean", "avg_pool")
    passthrough: tuple[str, ...] = ("max_pool", "reshape", "flatten", "transpose")
    first_and_last: bool = True
    residuals: bool = False
    saturating: bool = False


@dataclass(frozen=True, eq=False)
class QuantizedWeight:
    """Symmetric integer weights of a site: ``w ~ codes * scale`` with scale broadcast per channel or group.

    Args:
        codes: int8, the weight's shape, in [-2**(bits-1), 2**(bits-1) - 1]; 8-bit codes never take -128.
        scale: float32, (out_channels,) per channel, or (out_channels, n_groups) along the flattened input
            axis.
        bits: bits a code takes when packed.
        group: group length along the input axis, 0 per channel.
        bias: float32 (out_channels,), the corrected bias that replaces the site's, or None to keep it.
    """

    codes: NDArray[np.int8]
    scale: NDArray[np.float32]
    bits: int
    group: int = 0
    bias: NDArray[np.float32] | None = None

    @property
    def packed(self) -> bool:
        """Whether the artifact stores a bit stream; 7 bits stay bytes, which any runtime reads."""
        return self.bits < 7 and not self.group


@dataclass(frozen=True, eq=False)
class QuantizationPlan:
    """Everything that distinguishes a candidate's graph from the base graph.

    Args:
        weights: quantized weights by site name.
        edges: quantized reads: (value name, consumer node name) -> quantizer. The same value read by several
            quantized consumers shares one quantizer object.
        float_type: ``f32`` or ``bf16``, how everything else is computed.
        precisions: the option of each site, as the candidate gives it.
    """

    weights: Mapping[str, QuantizedWeight]
    edges: Mapping[tuple[str, str], ActivationQuantizer]
    float_type: str = "f32"
    precisions: Mapping[str, str] = field(default_factory=dict)
