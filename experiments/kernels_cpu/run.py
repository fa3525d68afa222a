"""How fast are the dense low-bit products on this CPU, beside float and beside the bare calls they wrap?

    python experiments/kernels_cpu/run.py --rounds 100 --threads 2

Every shape is one interleaved measurement: all calls take turns, a turn repeats a short call for about 2 ms,
and the median over the rounds counts. Weights are packed beforehand. Ratios are against float32 ``F.linear``
of the same turns; the limits are the ones this project set for itself before it measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from dataclasses import asdict
from pathlib import Path

import torch

from automl.kernels.cpu_contenders import BASELINE
from automl.kernels.cpu_contenders import SHAPES
from automl.kernels.cpu_contenders import WRAPPED
from automl.kernels.cpu_contenders import contenders
from automl.kernels.interleaved import interleave
from automl.kernels.native.library import native_obstacle

HERE = Path(__file__).parent

#: A wrapped call may cost this much more than the bare one.
OVERHEAD = 1.05


def limits(rows: int) -> dict[str, float]:
    """Return call -> least ratio to float32."""
    if rows == 1:
        return {"w8a8 static": 3.5, "w4a16 g64": 4.0}
    return {"w8a8 static": 8.0, "w8a8 dynamic per tensor": 6.0, "w8a8 dynamic per row": 6.0}


def verdicts(shape: tuple[int, int, int], medians: dict[str, float]) -> list[dict]:
    found = []
    for call, least in limits(shape[0]).items():
        ratio = medians[BASELINE] / medians[call]
        found.append(
            {"shape": shape, "claim": f"{call} >= {least}x f32", "found": ratio, "holds": ratio >= least}
        )
    for ours, bare in WRAPPED.items():
        if bare in medians:
            ratio = medians[ours] / medians[bare]
            claim = f"{ours} <= {OVERHEAD}x {bare}"
            found.append({"shape": shape, "claim": claim, "found": ratio, "holds": ratio <= OVERHEAD})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows, claims = [], []
    for shape in SHAPES:
        with torch.inference_mode():
            found = interleave(contenders(shape), time.perf_counter, rounds=options.rounds)
        medians = {name: spread.median_ms for name, spread in found.items()}
        print(f"\n(m, k, n) = {shape}\n\n| call | median ms | quartiles | times f32 |\n|---|---|---|---|")
        for name, s in found.items():
            ratio = medians[BASELINE] / s.median_ms
            print(f"| {name} | {s.median_ms:.4f} | {s.low_ms:.4f} to {s.high_ms:.4f} | {ratio:.2f} |")
            rows.append({"shape": shape, "call": name, **asdict(s), "times_f32": ratio})
        claims += verdicts(shape, medians)
    print("\n| (m, k, n) | claim | found | holds |\n|---|---|---|---|")
    for claim in claims:
        held = "yes" if claim["holds"] else "no"
        print(f"| {claim['shape']} | {claim['claim']} | {claim['found']:.2f} | {held} |")
    facts = {
        "torch": torch.__version__,
        "threads": options.threads,
        "machine": platform.machine(),
        "native": native_obstacle() or "compiled kernels serve",
    }
    (HERE / "results.json").write_text(json.dumps({**facts, "rows": rows, "claims": claims}, indent=1) + "\n")


if __name__ == "__main__":
    main()
