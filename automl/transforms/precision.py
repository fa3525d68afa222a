"""Precision options: what an option's name means.

=======  ========================================================================================
option   meaning
=======  ========================================================================================
fp       float weights and activations, in the float type of the dimension ``float:model``
w8a8     int8 weights per output channel, int8 activations per tensor, static ranges
wBa8     B-bit weights (2, 3, 4, 6) on the int8 grid's kernels: fewer bytes, the speed of w8a8
w8       int8 weights per output channel, float activations
w4gG     int4 weights in groups of G along the input axis, float activations
=======  ========================================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from automl.core.errors import SpaceError
from automl.core.errors import unknown_name

__all__ = ["FLOAT_OPTIONS", "PRECISIONS", "Precision", "parse_precision"]

#: Options of the dimension ``float:model``: the type in which everything not quantized is computed.
FLOAT_OPTIONS = ("f32", "bf16")

#: Known option names, from the most to the least faithful.
PRECISIONS = ("fp", "w8", "w8a8", "w6a8", "w4g64", "w4g128", "w4a8", "w3a8", "w2a8")


@dataclass(frozen=True)
class Precision:
    """A parsed precision option.

    Args:
        name: the option's name.
        weight_bits: bits a stored weight takes; 32 for ``fp``.
        activation_bits: bits of the layer's input; None when it stays float.
        group: weights that share a scale along the input axis; 0 for one scale per output channel.
    """

    name: str
    weight_bits: int
    activation_bits: int | None
    group: int = 0

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized."""
        return self.weight_bits == 32

    @property
    def weight_only(self) -> bool:
        """Whether weights are quantized and activations are not."""
        return not self.is_float and self.activation_bits is None


def parse_precision(name: str) -> Precision:
    """Return the meaning of an option.

    Raises:
        SpaceError: the name is not in :data:`PRECISIONS`.
    """
    if name == "fp":
        return Precision("fp", 32, None)
    found = re.fullmatch(r"w(\d)(?:a(\d))?(?:g(\d+))?", name)
    if name not in PRECISIONS or found is None:
        raise SpaceError(unknown_name("precision option", name, PRECISIONS))
    bits, activation, group = found.groups()
    return Precision(name, int(bits), int(activation) if activation else None, int(group) if group else 0)
