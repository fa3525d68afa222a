"""Latency of our exported graphs beside the peers' on the same model in one run.

Run ``python experiments/export_speed/run.py`` (needs the extra ``peers``). Random weights: speed does not
depend on their values. Built models are kept in ``--folder`` and reused. Writes results.json beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

#: Random weights that stand for trained ones: by default the last scale of every ResNet block is 0, so that
#: its output is 0 and has no range.
BUILD = {"resnet50": {"zero_init_last": False}}
REPEATS = {"tf_efficientnet_lite0": 100, "resnet50": 60, "bert": 400}

#: Times every file is compiled.
INSTANCES = 6


def build(name: str, folder: Path) -> None:
    """Write ours (per runtime), the float model and its example input into ``folder``."""
    import timm
    import torch
    from transformers import BertConfig
    from transformers import BertModel

    from automl.searchspaces.trace import trace_model
    from automl.targets.onnx_export import export_onnx
    from automl.targets.openvino_target import OPENVINO_RULES
    from automl.targets.qdq import apply_plan
    from automl.transforms.plan import ActivationQuantizer
    from automl.transforms.plan import QuantizationPlan
    from automl.transforms.plan_builder import quantized_reads

    torch.manual_seed(0)
    if name == "bert":

        class Encoder(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                config = BertConfig(
                    hidden_size=384,
                    num_hidden_layers=6,
                    num_attention_heads=12,
                    intermediate_size=1536,
                    vocab_size=1000,
                )
                self.bert = BertModel(config, add_pooling_layer=False)

            def forward(self, ids: torch.Tensor) -> torch.Tensor:
                return self.bert(input_ids=ids).last_hidden_state

        model, x = Encoder().eval(), torch.randint(0, 1000, (1, 1))
    else:
        model = timm.create_model(name, pretrained=False, **BUILD.get(name, {})).eval()
        x = torch.randn(1, 3, 224, 224)
    traced = trace_model(model, (x,))
    base = export_onnx(traced)
    option = "w4g64" if name == "bert" else "w8a8"
    sites = {s.name: option for s in traced.graph.sites if s.op != "embedding"}
    spans: dict[str, tuple[float, float]] = {}

    class Ranges(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> object:
            y = super().run_node(n)
            if isinstance(y, torch.Tensor) and y.is_floating_point():
                spans[n.name] = (min(float(y.min()), 0.0), max(float(y.max()), 1e-6))
            return y

    with torch.no_grad():
        Ranges(traced.module).run(x)
    edges = {}
    made: dict[str, ActivationQuantizer] = {}
    for value, reader in quantized_reads(traced.graph, sites, OPENVINO_RULES):
        low, high = spans[value]
        scale = np.float32((high - low) / 255)
        edges[value, reader] = made.setdefault(
            value, ActivationQuantizer(float(scale), int(np.rint(-low / scale)))
        )
    weights = {
        s: _weight(traced.module.get_parameter(f"{s}.weight").detach().numpy(), o) for s, o in sites.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    for runtime in ("openvino", "onnxruntime"):
        edited = apply_plan(base, QuantizationPlan(weights, edges), runtime)
        (folder / f"ours.{runtime}.onnx").write_bytes(edited.SerializeToString())
    np.save(folder / "x.npy", x.numpy())
    (folder / "fp.onnx").write_bytes(base.to_model().SerializeToString())


def _weight(weight: np.ndarray, option: str) -> object:
    from automl.transforms.plan import QuantizedWeight
    from automl.transforms.precision import parse_precision

    precision = parse_precision(option)
    grouped = weight.reshape(len(weight), -1, precision.group or weight[0].size)
    high = 2 ** (precision.weight_bits - 1) - 1
    scale = np.maximum(np.abs(grouped).max(-1) / high, 1e-9).astype(np.float32)
    codes = np.clip(np.rint(grouped / scale[..., None]), -high, high).astype(np.int8)
    return QuantizedWeight(
        codes.reshape(weight.shape),
        scale if precision.group else scale[:, 0],
        precision.weight_bits,
        precision.group,
    )


def build_peers(name: str, folder: Path) -> None:
    """Write nncf's and ONNX Runtime's own quantized models."""
    import nncf
    import openvino as ov

    x = np.load(folder / "x.npy")
    model = ov.Core().read_model(folder / "fp.onnx")
    model.reshape({model.inputs[0].any_name: list(x.shape)})
    if name == "bert":
        mode = nncf.CompressWeightsMode.INT4_SYM
        peer = nncf.compress_weights(model, mode=mode, group_size=64, ratio=1.0, all_layers=True)
    else:
        peer = nncf.quantize(model, nncf.Dataset([x] * 2), subset_size=2)
    ov.save_model(peer, folder / "nncf.xml", compress_to_fp16=False)
    if name == "bert":
        return
    from onnxruntime.quantization import CalibrationDataReader
    from onnxruntime.quantization import QuantFormat
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(folder / "fp.onnx", folder / "pre.onnx", skip_symbolic_shape=True)

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = 2

        def get_next(self) -> dict[str, np.ndarray] | None:
            self.left -= 1
            return {"x": x} if self.left >= 0 else None

    for tag, kind in (("u8s8", QuantType.QUInt8), ("s8s8", QuantType.QInt8)):
        quantize_static(
            folder / "pre.onnx",
            folder / f"qs_{tag}.onnx",
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=kind,
            weight_type=QuantType.QInt8,
        )


def measure(name: str, folder: Path) -> list[dict[str, object]]:
    """Time ours and the peers interleaved in each runtime.

    Every file is compiled ``INSTANCES`` times, in rotated order, since where a compiled model lies in memory
    changes its speed by several percent: two instances of one file differ as much as two files. A file's time
    is the mean of its instances' medians; ``instances_ms`` shows the spread.
    """
    from automl.targets.table import make_target

    x = np.load(folder / "x.npy")
    rows: list[dict[str, object]] = []
    peers = {
        "openvino": ["nncf.xml"],
        "onnxruntime": [] if name == "bert" else ["qs_u8s8.onnx", "qs_s8s8.onnx"],
    }
    for runtime, others in peers.items():
        files = ["fp.onnx", f"ours.{runtime}.onnx", *others]
        order = [files[(i + turn) % len(files)] for turn in range(INSTANCES) for i in range(len(files))]
        target = make_target(runtime, threads=1)
        samples = np.array(
            target.run_times([(folder / f, "f32") for f in order], [x], repeats=REPEATS[name])  # type: ignore[attr-defined]
        )
        target.close()
        medians = {f: np.median(samples[[o == f for o in order]], axis=1) for f in files}
        best = min((medians[f].mean() for f in others), default=None)
        rows += [
            {
                "model": name,
                "runtime": runtime,
                "file": f,
                "ms": round(float(medians[f].mean()), 3),
                "instances_ms": [round(float(m), 3) for m in medians[f]],
                "ours_over_best_peer": round(float(medians[f].mean() / best), 3) if i == 1 and best else None,
            }
            for i, f in enumerate(files)
        ]
    return rows


def main() -> None:
    """Build what is missing, measure, write results.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "export_speed")
    parser.add_argument("--stage", nargs=2, metavar=("STAGE", "MODEL"))
    arguments = parser.parse_args()
    if arguments.stage:
        stage, name = arguments.stage
        {"ours": build, "peers": build_peers}[stage](name, arguments.folder / name)
        return
    rows: list[dict[str, object]] = []
    for name in ("tf_efficientnet_lite0", "resnet50", "bert"):
        for stage, made in (("ours", "fp.onnx"), ("peers", "nncf.xml")):
            if not (arguments.folder / name / made).is_file():
                command = [
                    sys.executable,
                    __file__,
                    "--folder",
                    str(arguments.folder),
                    "--stage",
                    stage,
                    name,
                ]
                subprocess.run(command, check=True)
        rows += measure(name, arguments.folder / name)
    Path(__file__).with_name("results.json").write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
