"""Write a quantization plan into the exported graph: an edit of a copy, without a new export.

Activations become QuantizeLinear/DequantizeLinear pairs (uint8, per tensor) on the plan's edges, weights int8
constants with DequantizeLinear per output channel. Weight-only sites become the decompression pattern that
each runtime keeps compressed. Codes of fewer than 8 bits on integer kernels are stored as int8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from automl.core.errors import EvaluationError
from automl.core.errors import TargetError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from automl.targets.onnx_export import BaseOnnx
    from automl.targets.onnx_export import OnnxUse
    from automl.transforms.plan import ActivationQuantizer
    from automl.transforms.plan import QuantizationPlan
    from automl.transforms.plan import QuantizedWeight

__all__ = ["apply_plan", "packed_bits"]

#: Ops whose output holds codes of the same grid as their input.
_KEEP_CODES = (
    "Reshape",
    "Flatten",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "MaxPool",
    "Pad",
    "Identity",
    "Slice",
)

#: Far below one step of any product of codes, and far above the smallest float32.
_NOTHING = 1e-30

_RUNTIMES = ("onnxruntime", "openvino")


def apply_plan(base: BaseOnnx, plan: QuantizationPlan, target_name: str) -> onnx.ModelProto:
    """Return the graph of ``plan``, a new object; ``base`` is not changed.

    Args:
        base: the exported graph.
        plan: weights by site and quantized reads by (value, consumer).
        target_name: ``openvino`` or ``onnxruntime``, options after a colon are ignored; decides how
            biases and weight-only matrices are spelled.

    Raises:
        TargetError: the target is unknown.
        EvaluationError: the plan names a site or a read that the exported graph does not have.
    """
    runtime = target_name.partition(":")[0]
    if runtime not in _RUNTIMES:
        raise TargetError(unknown_name("target", runtime, _RUNTIMES))
    edit = _Edit(base, runtime)
    edit.add_activations(plan)
    for site, weight in plan.weights.items():
        if site not in base.uses:
            raise EvaluationError(unknown_name("site", site, base.uses))
        for use in base.uses[site]:
            edit.add_weight(site, use, weight)
    return edit.finish()


def packed_bits(plan: QuantizationPlan, model: onnx.ModelProto) -> dict[str, int]:
    """Return initializer -> bits for the integer weights that are stored in fewer than 8 bits."""
    bits = {site: weight.bits for site, weight in plan.weights.items() if weight.packed}
    packed = {}
    for tensor in model.graph.initializer:
        site, _, rest = tensor.name.rpartition(".weight.")
        if site in bits and rest.endswith(".codes"):
            packed[tensor.name] = bits[site]
    return packed


def _rewire(node: onnx.NodeProto, old: str, new: str) -> None:
    for slot, name in enumerate(node.input):
        if name == old:
            node.input[slot] = new


def _small_constants(graph: onnx.GraphProto, base: BaseOnnx) -> dict[str, NDArray[Any]]:
    """Return the constants that paddings may be filled with."""
    found = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return {**found, **{n: a for n, a in base.constants.items() if a.size == 1}}


class _Edit:
    """A copy of the skeleton under edit."""

    def __init__(self, base: BaseOnnx, runtime: str) -> None:
        self._base = base
        self._runtime = runtime
        self._model = onnx.ModelProto()
        self._model.CopyFrom(base.skeleton)
        self._nodes = {n.name: n for n in self._model.graph.node}
        self._front: list[onnx.NodeProto] = []
        self._after: dict[str, list[onnx.NodeProto]] = {}
        self._constants: dict[str, TensorProto] = {}
        self._made: dict[tuple[str, float, int, int], str] = {}
        self._quantizers: dict[str, ActivationQuantizer] = {}
        self._producer = {o: n for n in self._model.graph.node for o in n.output}
        self._small = _small_constants(self._model.graph, base)

    def add_activations(self, plan: QuantizationPlan) -> None:
        """Put one quantizer pair on each quantized value and make the plan's consumers read it."""
        for (value, consumer), quantizer in plan.edges.items():
            source = self._base.values.get(value)
            if source is None or consumer not in self._base.members:
                raise EvaluationError(
                    f"the read of '{value}' by '{consumer}' cannot be quantized: not in the exported graph"
                )
            readers = [self._nodes[m] for m in self._base.members[consumer]]
            readers = [n for n in readers if source in n.input]
            if not readers:
                raise EvaluationError(f"'{consumer}' does not read '{value}' in the exported graph")
            out = self._quantized(source, quantizer)
            for node in readers:
                _rewire(node, source, out)
        self._hoist_above_pads()

    def _quantized(self, source: str, quantizer: ActivationQuantizer) -> str:
        """Return the quantized counterpart of a value, one for each distinct quantizer."""
        key = (source, float(quantizer.scale), int(quantizer.zero_point), quantizer.bits)
        if key not in self._made:
            self._made[key] = self._quantize(source, quantizer, len(self._made))
            self._quantizers[self._made[key]] = quantizer
        return self._made[key]

    def _hoist_above_pads(self) -> None:
        """Quantize before a zero padding instead of after it: the same function, since 0.0 is exact.

        Runtimes fold the padding into the integer convolution only in this order.
        """
        outputs = {o.name for o in self._model.graph.output}
        for (value, *_), out in list(self._made.items()):
            pad = self._producer.get(value)
            if pad is None or pad.op_type != "Pad" or value in outputs or not self._pads_zero(pad):
                continue
            if any(value in n.input for n in self._nodes.values()):
                continue  # somebody reads the padded value in float, or through another quantizer
            others = [k for k in self._made if k[0] == value]
            if len(others) > 1:
                continue
            del self._after[value], self._made[others[0]]
            pad.input[0] = self._quantized(pad.input[0], self._quantizers.pop(out))
            for node in self._nodes.values():
                _rewire(node, out, value)

    def _pads_zero(self, pad: onnx.NodeProto) -> bool:
        if any(a.name == "mode" and a.s != b"constant" for a in pad.attribute):
            return False
        if len(pad.input) < 3 or not pad.input[2]:
            return True
        fill = self._small.get(pad.input[2])
        return fill is not None and not np.any(fill)

    def _quantize(self, source: str, quantizer: ActivationQuantizer, index: int) -> str:
        if quantizer.bits != 8:
            raise EvaluationError(
                f"activation of '{source}' has {quantizer.bits} bits; runtimes take 8, choose another option"
            )
        stem = f"{source}.q{index}"
        scale = self._constant(f"{stem}.scale", np.float32(quantizer.scale))
        zero = self._constant(f"{stem}.zero", np.uint8(quantizer.zero_point))
        pair = [
            helper.make_node("QuantizeLinear", [source, scale, zero], [f"{stem}.code"], name=f"{stem}/Q"),
            helper.make_node(
                "DequantizeLinear", [f"{stem}.code", scale, zero], [f"{stem}.out"], name=f"{stem}/DQ"
            ),
        ]
        self._after.setdefault(source, []).extend(pair)
        return f"{stem}.out"

    def add_weight(self, site: str, use: OnnxUse, weight: QuantizedWeight) -> None:
        """Replace the weight and, where needed, the bias of one application of a site."""
        node = self._nodes[use.node]
        if weight.group and use.op not in ("MatMul", "Gemm", "Gather"):
            raise EvaluationError(f"site {site}: grouped weights need a matrix layer, this is {use.op}")
        if weight.group:
            node.input[use.slot] = self._grouped(site, use, weight)
        else:
            node.input[use.slot] = self._per_channel(site, use, weight)
        self._bias(site, use, weight)

    def _per_channel(self, site: str, use: OnnxUse, weight: QuantizedWeight) -> str:
        """Int8 codes and one scale per output channel."""
        codes = weight.codes.T if use.transposed else weight.codes
        stem = f"{site}.weight.{'t' if use.transposed else 'n'}"
        out = f"{stem}.out"
        if f"{stem}.codes" not in self._constants:
            names = [
                self._constant(f"{stem}.codes", codes),
                self._constant(f"{stem}.scale", weight.scale.reshape(-1).astype(np.float32)),
                self._constant(f"{stem}.zero", np.zeros(weight.scale.size, np.int8)),
            ]
            axis = 1 if use.transposed else 0
            self._front.append(
                helper.make_node("DequantizeLinear", names, [out], name=f"{stem}/DQ", axis=axis)
            )
        return out

    def _grouped(self, site: str, use: OnnxUse, weight: QuantizedWeight) -> str:
        """Int4 codes in groups along the input axis."""
        codes = weight.codes.T if use.transposed else weight.codes
        scale = weight.scale.T if use.transposed else weight.scale
        stem = f"{site}.weight.{'t' if use.transposed else 'n'}"
        out = f"{stem}.out"
        if f"{stem}.codes" not in self._constants:
            names = [
                self._int4(f"{stem}.codes", codes),
                self._constant(f"{stem}.scale", scale.astype(np.float32)),
            ]
            axis = 0 if use.transposed else 1
            self._front.append(
                helper.make_node(
                    "DequantizeLinear", names, [out], name=f"{stem}/DQ", axis=axis, block_size=weight.group
                )
            )
        return out

    def _bias(self, site: str, use: OnnxUse, weight: QuantizedWeight) -> None:
        """Write a corrected bias, and in ONNX Runtime's form: int32 on the grid of the products."""
        if use.bias is None or use.bias_node is None:
            if weight.bias is not None:
                raise EvaluationError(
                    f"site {site} adds no bias, but the plan corrects it; drop the correction"
                )
            self._fill_bias(site, use, weight)
            return
        bias = self._base.constants[use.bias] if weight.bias is None else weight.bias
        name = f"{site}.bias.{use.reader}"
        quantizer = self._input_quantizer(use)
        if self._runtime == "onnxruntime" and not weight.group and quantizer is not None:
            step = (np.float32(quantizer.scale) * weight.scale.reshape(-1)).astype(np.float32)
            codes = np.clip(np.rint(bias / step), -(2**31) + 1, 2**31 - 1).astype(np.int32)
            names = [
                self._constant(f"{name}.codes", codes),
                self._constant(f"{name}.scale", step),
                self._constant(f"{name}.zero", np.zeros(step.size, np.int32)),
            ]
            self._front.append(helper.make_node("DequantizeLinear", names, [name], name=f"{name}/DQ", axis=0))
        elif weight.bias is not None:
            self._constant(name, bias.astype(np.float32))
        else:
            return
        _rewire(self._nodes[use.bias_node], use.bias, name)

    def _fill_bias(self, site: str, use: OnnxUse, weight: QuantizedWeight) -> None:
        """Give an integer ``Gemm`` without bias one that changes nothing, for OpenVINO.

        Where its result is handed on as codes, OpenVINO 2026.4 reads the bias that is not there and the codes
        are anything. A bias of one number for all channels is taken out again, so they differ.
        """
        integer = not weight.group and self._input_quantizer(use) is not None
        if self._runtime == "openvino" and use.op == "Gemm" and integer:
            nothing = np.linspace(-_NOTHING, _NOTHING, len(weight.codes)).astype(np.float32)
            self._nodes[use.node].input.append(self._constant(f"{site}.bias.none", nothing))

    def _input_quantizer(self, use: OnnxUse) -> ActivationQuantizer | None:
        """Return the quantizer of what the site reads, sought upwards through ops that keep codes valid."""
        value = self._nodes[use.node].input[0]
        while value not in self._quantizers:
            node = self._producer.get(value)
            if node is None or node.op_type not in _KEEP_CODES:
                return None
            value = node.input[0]
        return self._quantizers[value]

    def _constant(self, name: str, array: NDArray[Any] | np.generic) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(
                np.ascontiguousarray(array).reshape(np.shape(array)), name
            )
        return name

    def _int4(self, name: str, codes: NDArray[np.int8]) -> str:
        """Add an int4 constant, two codes a byte, the first in the low half."""
        flat = codes.reshape(-1)
        if flat.size % 2:
            flat = np.append(flat, np.int8(0))
        packed = (flat[0::2] & 0x0F) | ((flat[1::2] & 0x0F) << 4)
        tensor = TensorProto(
            name=name, data_type=TensorProto.INT4, raw_data=packed.astype(np.uint8).tobytes()
        )
        tensor.dims.extend(codes.shape)
        self._constants[name] = tensor
        return name

    def finish(self) -> onnx.ModelProto:
        """Order the nodes, add the constants in use, and return the model."""
        graph = self._model.graph
        ordered = list(self._front)
        for value in graph.input:
            ordered.extend(self._after.get(value.name, ()))
        for node in graph.node:
            ordered.append(node)
            for output in node.output:
                ordered.extend(self._after.get(output, ()))
        copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in ordered]
        del graph.node[:]
        graph.node.extend(copies)
        used = {name for node in copies for name in node.input} | {o.name for o in graph.output}
        graph.initializer.extend(t for name, t in self._constants.items() if name in used)
        graph.initializer.extend(self._base.tensor(name) for name in self._base.constants if name in used)
        return self._model
