"""What do the kernels compile to, on devices that are not here?

    python experiments/kernels_compiled/run.py
    python experiments/kernels_compiled/run.py --kernels w8a8_linear w4a16_linear
    python experiments/kernels_compiled/run.py --table

``automl kernels compile`` builds every shipped configuration with Triton's compiler and reads the binaries.
Rows are kept in ``results.json`` as they come, so a broken run goes on; after a change of a kernel or of
Triton ``--again`` builds them again. ``--table`` builds nothing and writes ``docs/kernels_compiled.md``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import triton

from automl.kernels.compilation.compiled import compile_kernels
from automl.kernels.compilation.devices import ARCHITECTURES
from automl.kernels.launch import LaunchConfig
from automl.kernels.launch import traffic_ratio
from automl.kernels.table import KERNELS
from automl.kernels.table import builds

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "kernels_compiled.md"

#: (m, k, n) at which the bytes of a class of problems are counted.
SHAPES = {
    "decode": (16, 4096, 4096),
    "decode-1": (1, 4096, 4096),
    "decode-4": (4, 4096, 4096),
    "decode-16": (16, 4096, 4096),
    "prefill": (2048, 4096, 4096),
    "conv": (12544, 576, 64),
}
_DENSITY = 0.25
_BITS = {"*i8": 8, "*u8": 8, "*fp16": 16, "*bf16": 16, "*fp32": 32}

HEADER = """# What the kernels compile to

Written by `python experiments/kernels_compiled/run.py --table`, from binaries of Triton {version}. No device
was needed and none was used, so nothing here is a time.

A cell is registers a thread / kB of shared memory a program / the largest share of resident threads that
those leave, in percent. "matrix" names the matrix instructions by generation: IMMA and HMMA of sm_80, IGMMA
and HGMMA (wgmma) of sm_90, UTCIMMA and UTCHMMA (tcgen05) of sm_100, v_mfma of gfx942. Every load of the
operands under "16-byte loads", found by the source line that it was compiled from, reads 16 bytes or more a
thread (LDG.E.128, LDGSTS.128, global_load_dwordx4); operands of much traffic that cannot are named with the
reason at the end. "bytes" is what the tiles move over the least there is, when no cache helps: at 16 rows
(bit planes: the rows of their name) or 2,048 rows of 4,096 x 4,096, at a convolution of 12,544 rows of 576
x 64, with blocks 75 % sparse.

"""


def _classes(config: str) -> str:
    return next((c for c in sorted(SHAPES, key=len, reverse=True) if c in config), "decode")


def bytes_over_least(kernel: str, build) -> float:
    """Return moved over least bytes of one configuration."""
    c = build.constants
    if kernel in ("fake_quantize", "quantize_rows") or build.config.startswith("cut"):
        # A long row is read twice, once for its size.
        return 1.0 if c.get("ONE_READ", True) else (2 * 16 + 8) / (16 + 8)
    shape = SHAPES[_classes(build.config)]
    tile = LaunchConfig(c["BLOCK_M"], c.get("BLOCK_N", 1), c["BLOCK_K"])
    x, y = _BITS.get(build.types["x_ptr"], 0), _BITS[build.types["y_ptr"]]
    if kernel == "block_sparse_linear":
        m, k, n = shape
        least = m * k + _DENSITY * n * k + m * n
        return (
            m * k * _DENSITY * n / tile.block_n + _DENSITY * n * k * -(-m // tile.block_m) + m * n
        ) / least
    if kernel == "nm_linear":
        # 4 of 8 values and a byte that says which.
        return traffic_ratio(tile, shape, x_bits=x, w_bits=x // 2 + 1, y_bits=y)
    if kernel == "bitplane_linear":
        w, x = (int(b) for b in build.config.rsplit("-w", 1)[1].split("a"))
        return traffic_ratio(tile, shape, x_bits=x, w_bits=w, y_bits=y)
    return traffic_ratio(tile, shape, x_bits=x, w_bits=int(kernel[1]), y_bits=y)


def cell(row: dict) -> str:
    return f"{row['registers']} / {row['shared_bytes'] / 1024:.0f} / {100 * row['occupancy']:.0f}"


def table(rows: dict[str, dict]) -> list[str]:
    archs = list(ARCHITECTURES)
    lines = [f"| kernel | configuration | {' | '.join(archs)} | matrix | 16-byte loads | bytes |"]
    lines.append("|---" * (len(archs) + 5) + "|")
    reasons: dict[str, list[str]] = {}
    faults = []
    for kernel in KERNELS:
        for build in builds(kernel):
            found = [rows.get(f"{kernel}/{build.config}/{a}") for a in archs]
            cells = [cell(row) if row else "" for row in found]
            matrix = dict.fromkeys(i for row in found if row for i in row["instructions"].split("+") if i)
            ratio = f"{bytes_over_least(kernel, build):.2f}"
            columns = [kernel, build.config, *cells, ", ".join(matrix), ", ".join(build.hot), ratio]
            lines.append(f"| {' | '.join(columns)} |")
            for operand, why in build.narrow.items():
                reasons.setdefault(f"{operand}: {why}", []).append(f"{kernel} {build.config}")
            faults += [
                f"{row['kernel']} {row['config']} {row['arch']}: {f}"
                for row in found
                if row
                for f in row["faults"]
            ]
    lines += ["", "Shorter loads:", ""]
    lines += [f"* {why} ({', '.join(names)})" for why, names in reasons.items()]
    lines += ["", "Faults: " + ("; ".join(faults) or "none.")]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernels", nargs="*", default=[])
    parser.add_argument("--again", action="store_true", help="build what results.json holds, too")
    parser.add_argument("--table", action="store_true", help="build nothing, write the page")
    options = parser.parse_args()
    file = HERE / "results.json"
    kept = json.loads(file.read_text()) if file.exists() else {"rows": {}}
    rows = kept["rows"]
    for kernel in [] if options.table else options.kernels or KERNELS:
        missing = [
            (build.config, arch)
            for build in builds(kernel)
            for arch in ARCHITECTURES
            if options.again or f"{kernel}/{build.config}/{arch}" not in rows
        ]
        for config, arch in missing:
            for row, faults in compile_kernels([kernel], [arch], [config]):
                rows[f"{kernel}/{row.config}/{arch}"] = {**asdict(row), "faults": faults}
                print(kernel, row.config, arch, faults or "ok", flush=True)
            file.write_text(json.dumps({"triton": triton.__version__, "rows": rows}, indent=1) + "\n")
    version = kept.get("triton", triton.__version__)
    PAGE.write_text(HEADER.format(version=version) + "\n".join(table(rows)) + "\n")


if __name__ == "__main__":
    main()
