"""Do bit planes, block lists and N:M weights pay on this CPU?

    python experiments/kernels_cpu/planes_and_blocks.py --rounds 30 --threads 2

Every shape is one interleaved measurement, weights packed beforehand, ratios against float32 ``F.linear`` of
the same turns. Bit planes are timed three ways: counted, multiplied as int8, and as the operator chooses.
Blocks are 75 % sparse. The limits are the ones this project set for itself before it measured. N:M stands as
torch's compressed rows of a 2:4 weight: CPUs have no product of it.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from automl.kernels.bitplane_linear import cpu_impl as planes
from automl.kernels.bitplane_linear.cases import arguments_of
from automl.kernels.block_sparse_linear import cpu_impl as lists
from automl.kernels.block_sparse_linear.blocks_math import pack_blocks
from automl.kernels.block_sparse_linear.blocks_math import prune_blocks
from automl.kernels.interleaved import interleave
from automl.kernels.native.library import native_obstacle
from automl.kernels.nm_linear.nm_math import prune_nm

if TYPE_CHECKING:
    from automl.kernels.interleaved import Spread

HERE = Path(__file__).parent
SHAPES = ((1, 2048, 2048), (16, 768, 3072), (197, 768, 3072), (1024, 1024, 1024))

#: Slower calls than this many milliseconds are left out at a shape, by an estimate from the counts.
_COUNTS_A_MS = 3e7


def plane_calls(shape):
    rows, inner, columns = shape
    for bits in (1, 2, 3, 4, 8):
        kind = ("binary", "binary") if bits == 1 else ("unsigned", "signed")
        a = arguments_of(shape, (bits, bits), kind, seed=bits)
        weight = planes.pack(a["planes"], inner, kind[1])
        x, x_kind = a["x"], kind[0]
        if rows * columns * inner * bits * bits / 64 / _COUNTS_A_MS < 20:
            yield (
                f"planes {bits}x{bits} counted",
                lambda w=weight, x=x, b=bits, k=x_kind: planes.counted(w, x, None, b, k),
            )
        yield (
            f"planes {bits}x{bits} int8",
            lambda w=weight, x=x, b=bits, k=x_kind: planes.multiplied(w, x, None, b, k),
        )
        yield f"planes {bits}x{bits} chosen", lambda w=weight, x=x, b=bits, k=x_kind: w(x, None, None, b, k)


def sparse_calls(x, weight):
    outputs, inner = weight.shape
    inputs = {dtype: x.to(dtype) for dtype in (torch.float32, torch.bfloat16)}
    for size in ((16, 16), (32, 32), (64, 64)):
        kept = pack_blocks(prune_blocks(weight, size, 0.75), size)
        for dtype in (torch.float32, torch.bfloat16):
            packed = lists.pack(
                kept.blocks.to(dtype), kept.starts, kept.columns, outputs, inner, out_dtype=dtype
            )
            yield f"blocks {size[0]}x{size[1]} {dtype}", lambda p=packed, x=inputs[dtype]: p(x)
    thin = pack_blocks(prune_blocks(weight, (1, 16), 0.75), (1, 16))
    packed = lists.pack(thin.blocks, thin.starts, thin.columns, outputs, inner)
    yield "blocks 1x16", lambda: packed(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = prune_nm(weight, "2:4").to_sparse_csr()
    turned = x.t().contiguous()
    yield "2:4 compressed rows", lambda: rows @ turned


#: (shape, call, least times as fast as, that call): counted planes scale with p q; blocks pay beside float32.
LIMITS = (
    ((1, 2048, 2048), "planes 2x2 counted", 4.0, "planes 8x8 counted"),
    ((197, 768, 3072), "blocks 64x64 torch.float32", 1.5, "float32"),
    ((197, 768, 3072), "blocks 32x32 torch.float32", 1.5, "float32"),
)


def verdicts(shape: tuple[int, int, int], found: dict[str, Spread]) -> list[str]:
    lines = []
    for where, call, least, base in LIMITS:
        if where == shape:
            ratio = found[base].median_ms / found[call].median_ms
            lines.append(f"{call} >= {least}x {base}: {ratio:.2f}, {'holds' if ratio >= least else 'missed'}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found_rows = []
    for shape in SHAPES:
        rows, inner, outputs = shape
        g = torch.Generator().manual_seed(0)
        x, weight = torch.randn(rows, inner, generator=g), torch.randn(outputs, inner, generator=g)
        half = (x.bfloat16(), weight.bfloat16())
        calls = {
            "float32": lambda x=x, w=weight: torch.nn.functional.linear(x, w),
            "bfloat16": lambda h=half: torch.nn.functional.linear(*h),
            **dict(plane_calls(shape)),
            **dict(sparse_calls(x, weight)),
        }
        with torch.inference_mode():
            found = interleave(calls, time.perf_counter, rounds=options.rounds)
        print(f"\n(m, k, n) = {shape}\n\n| call | median ms | quartiles | times f32 |\n|---|---|---|---|")
        for name, s in found.items():
            ratio = found["float32"].median_ms / s.median_ms
            print(
                f"| {name} | {s.median_ms:.4f} | {s.low_ms:.4f} to {s.high_ms:.4f} | {ratio:.2f} |",
                flush=True,
            )
            found_rows.append({"shape": shape, "call": name, **asdict(s), "times_f32": ratio})
        print("\n" + "\n".join(verdicts(shape, found)), flush=True)
    facts = {
        "torch": torch.__version__,
        "threads": options.threads,
        "machine": platform.machine(),
        "native": native_obstacle() or "compiled kernels serve",
    }
    (HERE / "planes_and_blocks.json").write_text(json.dumps({**facts, "rows": found_rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
