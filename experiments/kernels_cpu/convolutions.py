"""Which convolutions pay in int8 on this CPU, and what a zero point of the input costs.

    python experiments/kernels_cpu/convolutions.py --rounds 20 --threads 1

Every layer is one interleaved measurement of a batch of one, weights packed beforehand, inputs channels last.
``named`` gives oneDNN the zero point, as its operator takes it; ``folded`` is this package's way: it stands
in the bias, and is written around the map.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from automl.kernels.interleaved import interleave
from automl.kernels.w8a8_conv.cpu_impl import pack

HERE = Path(__file__).parent

#: (channels, outputs, window, stride, groups, map): stems, dense, depthwise, grouped, and small ones.
LAYERS = (
    (3, 32, 3, 2, 1, 224),
    (64, 64, 3, 1, 1, 56),
    (512, 512, 3, 1, 1, 7),
    (16, 96, 1, 1, 1, 112),
    (672, 112, 1, 1, 1, 14),
    (96, 96, 3, 2, 96, 112),
    (672, 672, 5, 1, 672, 14),
    (960, 960, 3, 1, 960, 7),
    (128, 128, 3, 1, 32, 56),
    (16, 16, 3, 1, 1, 32),
    (64, 64, 1, 1, 1, 16),
    (3, 16, 3, 1, 1, 32),
    (256, 256, 1, 1, 1, 1),
)
STEP, ZERO = 0.04, 7


def calls_of(layer, generator):
    channels, outputs, window, stride, groups, size = layer
    pad = window // 2
    x = torch.randn(1, channels, size, size, generator=generator).contiguous(
        memory_format=torch.channels_last
    )
    w = torch.randn(outputs, channels // groups, window, window, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    lists = ([pad, pad], [stride, stride], [1, 1], groups)
    float_packed = torch.ops.mkldnn._reorder_convolution_weight(w, *lists, list(x.shape))
    pointwise = torch.ops.mkldnn._convolution_pointwise.default
    codes = torch.randint(0, 256, x.shape, generator=generator).to(torch.uint8)
    codes = codes.contiguous(memory_format=torch.channels_last)
    w_codes = torch.randint(-127, 128, w.shape, generator=generator).to(torch.int8)
    steps = torch.rand(outputs, generator=generator).add(0.1).div(100)
    given = {"stride": (stride, stride), "padding": (pad, pad), "groups": groups, "shape": x.shape}
    given |= {"out_dtype": torch.uint8, "out_codes": (0.1, 0)}
    plain, folded = (pack(w_codes, steps, bias, x_scale=STEP, x_zero=z, **given) for z in (0, ZERO))
    axes = ([stride, stride], [pad, pad], [1, 1], groups)
    named = torch.ops.onednn.qconv_prepack(w_codes, steps, STEP, ZERO, *axes, list(x.shape))
    qconv = partial(
        torch.ops.onednn.qconv_pointwise.default, codes, STEP, ZERO, named, steps, plain.zero, bias
    )
    return {
        "float32 of torch": lambda: torch.conv2d(x, w, bias, stride, pad, 1, groups),
        "float32 packed": lambda: pointwise(x, float_packed, bias, *lists, "none", [], ""),
        "int8": lambda: plain(codes),
        "int8, zero point folded": lambda: folded(codes),
        "int8, zero point named": lambda: qconv(*axes, 0.1, 0, torch.uint8, "none", [], ""),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows, titled = [], False
    for layer in LAYERS:
        with torch.inference_mode():
            calls = calls_of(layer, torch.Generator().manual_seed(0))
            found = interleave(calls, time.perf_counter, rounds=options.rounds)
        if not titled:
            print("| channels, outputs, window, stride, groups, map |", " | ".join(found), "|")
            print("|---|" + "---|" * len(found))
            titled = True
        medians = (f"{spread.median_ms:.3f}" for spread in found.values())
        print(f"| {', '.join(map(str, layer))} |", " | ".join(medians), "|")
        rows += [{"layer": layer, "call": name, **asdict(spread)} for name, spread in found.items()]
    about = {"machine": platform.platform(), "torch": torch.__version__, "threads": options.threads}
    (HERE / "convolutions.json").write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
