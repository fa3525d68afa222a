"""The quantizer: options of sites -> quantized weights, activation quantizers, plans."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import SpaceError
from automl.transforms.activation_ranges import activation_quantizer
from automl.transforms.layer_rounding import LayerRounder
from automl.transforms.layer_rounding import QuantizerSettings
from automl.transforms.layer_rounding import RoundedLayer
from automl.transforms.layer_rounding import nearest_layer
from automl.transforms.plan import QuantizationPlan
from automl.transforms.plan import QuantizedWeight
from automl.transforms.plan_builder import quantized_reads
from automl.transforms.precision import parse_precision
from automl.transforms.quantization_math import correct_bias
from automl.transforms.repair import repair_plan
from automl.transforms.rounding_math import quadratic_error
from automl.transforms.site_rows import SiteRows
from automl.transforms.site_rows import site_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.core.samples import Samples
    from automl.searchspaces.graph import TracedModel
    from automl.transforms.calibrate import Calibration
    from automl.transforms.plan import ActivationQuantizer
    from automl.transforms.plan import QuantizationRules

__all__ = ["Quantizer"]


class Quantizer:
    """Turns options into plans; every weight and range is computed once and kept.

    Args:
        traced: the model.
        calibration: what :func:`automl.transforms.calibrate.calibrate` saw.
        rules: where the runtime wants quantizers.
        settings: how hard to try; :class:`QuantizerSettings` when None.
    """

    def __init__(
        self,
        traced: TracedModel,
        calibration: Calibration,
        rules: QuantizationRules,
        *,
        settings: QuantizerSettings | None = None,
    ) -> None:
        self.traced = traced
        self.calibration = calibration
        self.rules = rules
        self.settings = settings or QuantizerSettings()
        nodes = {n.name: n for n in traced.module.graph.nodes}
        self._nodes = {s.name: nodes[s.node] for s in traced.graph.sites}
        self._weights: dict[tuple[str, int, int], QuantizedWeight] = {}
        self._rounders: dict[str, LayerRounder] = {}
        self._activations: dict[str, ActivationQuantizer] = {}

    def rows(self, site: str) -> SiteRows | None:
        """Return the matrix view of a site, None when it has none."""
        return site_rows(self.traced.graph.site(site), self._nodes[site])

    def float_weight(self, site: str) -> NDArray[np.float32]:
        """Return the site's float weight."""
        index = 0 if self.traced.graph.site(site).op == "embedding" else 1
        return self._constant(site, index)

    def float_bias(self, site: str) -> NDArray[np.float32] | None:
        """Return the site's float bias, None when it has none."""
        return self._constant(site, 2) if self.traced.graph.site(site).bias else None

    def _constant(self, site: str, index: int) -> NDArray[np.float32]:
        node = self._nodes[site].args[index]
        value: Any = self.traced.module
        for part in str(node.target).split("."):
            value = getattr(value, part)
        array: NDArray[np.float32] = value.detach().cpu().float().numpy()
        return array

    def weight(self, site: str, option: str) -> QuantizedWeight:
        """Return the quantized weight of a site; options of equal bits and groups share it.

        Where the runtime's 8-bit products saturate, 8-bit weights that meet 8-bit activations take 7 bits.
        Fewer than 8 bits are rounded with error compensation; a row falls back to nearest rounding when that
        has the smaller output error on held-out calibration samples.

        Raises:
            SpaceError: the option is float or unknown.
            ModelError: there is no such site.
        """
        precision = parse_precision(option)
        if precision.is_float:
            raise SpaceError(
                f"option '{option}' of site '{site}' has no quantized weight; leave the site out"
            )
        narrow = self.rules.saturating and precision.activation_bits is not None
        key = (site, min(precision.weight_bits, 7) if narrow else precision.weight_bits, precision.group)
        if key not in self._weights:
            self._weights[key] = self._quantize(*key)
        return self._weights[key]

    def _quantize(self, site: str, bits: int, group: int) -> QuantizedWeight:
        weight = self.float_weight(site)
        rows = self.rows(site)
        if rows is None:
            flat = weight.reshape(1, weight.shape[0], -1)
            layer = nearest_layer(flat, bits, self.settings, group=group)
            return QuantizedWeight(layer.codes.reshape(weight.shape), layer.scale, bits, group)
        matrices = rows.matrices(weight)
        layer = nearest_layer(matrices, bits, self.settings, group=group)
        if bits < self.settings.compensate_below and site in self.calibration.moments:
            layer = self._compensated(site, matrices, layer, bits)
        bias = self.float_bias(site)
        if bias is not None and self.settings.correct_bias and site in self.calibration.moments:
            mean = self.calibration.moments[site].mean
            bias = correct_bias(bias, matrices, layer.values(), mean)
        else:
            bias = None
        return QuantizedWeight(layer.codes.reshape(weight.shape), layer.scale, bits, group, bias)

    def _centred(self, site: str) -> bool:
        return self.settings.correct_bias and self.traced.graph.site(site).bias

    def _compensated(
        self, site: str, matrices: NDArray[np.float32], nearest: RoundedLayer, bits: int
    ) -> RoundedLayer:
        moments, held = self.calibration.moments[site], self.calibration.held[site]
        centred = self._centred(site)
        if site not in self._rounders:
            gram = moments.covariance if centred else moments.gram
            self._rounders[site] = LayerRounder(gram, moments.count, self.settings)
        layer = self._rounders[site].round(matrices, bits, group=nearest.group)
        if not held.count:
            return layer
        errors = []
        for candidate in (nearest, layer):
            difference = matrices - candidate.values()
            errors.append(quadratic_error(difference, held.covariance if centred else held.gram))
            if centred:
                errors[-1] += np.einsum("grc,gc->gr", difference, held.mean - moments.mean) ** 2
        return nearest.choose(layer, errors[1] <= errors[0])

    def activation(self, value: str) -> ActivationQuantizer:
        """Return the quantizer of a value, one object for all its readers.

        Raises:
            SpaceError: calibration did not see the value.
        """
        if value not in self._activations:
            histogram = self.calibration.values.get(value)
            if histogram is None or not np.isfinite(histogram.low):
                raise SpaceError(
                    f"value '{value}' has no calibrated range; calibrate this traced model again"
                )
            self._activations[value] = activation_quantizer(histogram, self.settings)
        return self._activations[value]

    def plan(self, precisions: Mapping[str, str], float_type: str = "f32") -> QuantizationPlan:
        """Return the plan of a candidate.

        Args:
            precisions: option of each site; sites left out, and ``fp``, stay float.
            float_type: ``f32`` or ``bf16``.
        """
        weights = {
            s.name: self.weight(s.name, precisions[s.name])
            for s in self.traced.graph.sites
            if s.name in precisions and not parse_precision(precisions[s.name]).is_float
        }
        unknown = set(precisions) - set(self.traced.graph.site_by_name)
        for name in sorted(unknown):
            self.traced.graph.site(name)
        reads = quantized_reads(self.traced.graph, precisions, self.rules)
        edges = {read: self.activation(read[0]) for read in reads}
        return QuantizationPlan(weights, edges, float_type, dict(precisions))

    def repair(
        self, plan: QuantizationPlan, samples: Samples, *, batch: int = 32, max_rows: int = 32768
    ) -> QuantizationPlan:
        """Return the plan re-fitted layer by layer on what the quantized network really computes.

        See :func:`automl.transforms.repair.repair_plan`.
        """
        return repair_plan(self, plan, samples, batch=batch, max_rows=max_rows)
