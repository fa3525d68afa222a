"""What do the kernels compile to, on devices that are not here?

    python experiments/kernels_compiled/run.py
    python experiments/kernels_compiled/run.py --kernels w8a8_linear w4a16_linear

``automl kernels compile`` builds every shipped configuration with Triton's compiler and reads the binaries. A
row of the table is a kernel and configuration; a cell is registers a thread / kB of shared memory a program /
upper bound of the resident threads in percent. "bytes" is how many times the least number of bytes the tiles
move when no cache helps, at the shape of the class. Any fault (a spill, too much shared memory, no matrix
instructions or no 16-byte loads where they are due) is named in the last column.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict
from pathlib import Path

from automl.kernels.compilation.compiled import compile_kernels
from automl.kernels.compilation.devices import ARCHITECTURES
from automl.kernels.launch import LaunchConfig
from automl.kernels.launch import traffic_ratio
from automl.kernels.table import builds

HERE = Path(__file__).parent


#: (m, k, n) at which the bytes of a class of problems are counted.
SHAPES = {"decode": (16, 4096, 4096), "prefill": (2048, 4096, 4096), "conv": (12544, 576, 64)}
_BITS = {"*i8": 8, "*u8": 8, "*fp16": 16, "*bf16": 16, "*fp32": 32}


def traffic(kernel: str) -> dict[str, float]:
    """Return configuration -> ratio of moved to least bytes, for the products with a tile."""
    found = {}
    for build in builds(kernel):
        shape = SHAPES.get(build.config.split("-")[0])
        weight = re.match(r"w(\d)a", kernel)
        if shape and weight and "BLOCK_M" in build.constants:
            c = build.constants
            tile = LaunchConfig(c["BLOCK_M"], c["BLOCK_N"], c["BLOCK_K"])
            x, y = _BITS[build.types["x_ptr"]], _BITS[build.types["y_ptr"]]
            found[build.config] = traffic_ratio(tile, shape, x_bits=x, w_bits=int(weight[1]), y_bits=y)
    return found


def cell(row: dict) -> str:
    return f"{row['registers']} / {row['shared_bytes'] / 1024:.0f} / {100 * row['occupancy']:.0f}"


def table(rows: list[dict]) -> list[str]:
    archs = list(ARCHITECTURES)
    lines = [f"| kernel | configuration | {' | '.join(archs)} | matrix | 16-byte loads | bytes | faults |"]
    lines.append("|---" * (len(archs) + 6) + "|")
    grouped: dict[tuple[str, str], dict[str, dict]] = {}
    for row in rows:
        grouped.setdefault((row["kernel"], row["config"]), {})[row["arch"]] = row
    for (kernel, config), by_arch in grouped.items():
        cells = [cell(by_arch[a]) if a in by_arch else "" for a in archs]
        found = list(by_arch.values())
        matrix = sorted({r["tensor_core"] for r in found})
        wide = min(r["wide_loads"] / max(r["wide_loads"] + r["narrow_loads"], 1) for r in found)
        faults = sorted({f"{r['arch']}: {f}" for r in found for f in r["faults"]})
        columns = [
            kernel,
            config,
            *cells,
            ", ".join(matrix),
            f"{100 * wide:.0f} %",
            "; ".join(faults) or "none",
        ]
        lines.append(f"| {' | '.join(columns)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernels", nargs="*", default=[])
    options = parser.parse_args()
    rows: list[dict] = []
    ratios: dict[str, dict[str, float]] = {}
    for row, faults in compile_kernels(options.kernels):
        ratios.setdefault(row.kernel, traffic(row.kernel))
        rows.append({**asdict(row), "faults": faults, "traffic": ratios[row.kernel].get(row.config)})
        print(row.kernel, row.config, row.arch, faults or "ok", flush=True)
    (HERE / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
