"""Search your own module with your own batches; run it with ``python examples/search_module.py``."""

from __future__ import annotations

import numpy as np
import timm

import automl


def main() -> None:
    """Compress a small untrained network on random images: replace both by yours."""
    model = timm.create_model("resnet18", pretrained=False, num_classes=10).eval()
    images = np.random.default_rng(0).normal(size=(160, 3, 64, 64)).astype(np.float32)
    result = automl.search(
        model,
        data=automl.Samples((images,)),
        input_shapes=[(1, 3, 64, 64)],
        budget="latency=0.8x",
        effort="quick",
        calibration=32,
        evaluation=128,
    )
    for found in result.front:
        latency = found.metrics["latency_ms"]
        print(f"{found.id}: {latency.value:.2f} ms [{latency.low:.2f}, {latency.high:.2f}]")
    if result.best is not None:
        print("wrote", result.best.export("resnet18.onnx"))


if __name__ == "__main__":
    main()
