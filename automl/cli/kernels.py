"""``automl kernels``: which kernels there are, whether they are right, what they compile to, how fast."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from automl.cli.usage import Commands
from automl.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["kernels"]

kernels = typer.Typer(
    name="kernels", cls=Commands, help="Low-bit kernels: list, check, compile, bench.", no_args_is_help=True
)

EXIT_FAILED = 1

_Names = Annotated[list[str] | None, typer.Argument(metavar="[KERNEL]...", help="kernels; all when absent")]
_Json = Annotated[bool, typer.Option("--json", help="print one JSON object on standard output")]


def _print(rows: list[dict[str, object]], as_json: bool, facts: Mapping[str, object] | None = None) -> None:
    if as_json:
        typer.echo(json.dumps({"schema": 1, **(facts or {}), "rows": rows}))
        return
    for name, value in (facts or {}).items():
        Console().print(escape(f"{name}: {value}"))
    table = Table()
    for title in rows[0] if rows else ("nothing",):
        table.add_column(title)
    for row in rows:
        table.add_row(*(escape(f"{v:.3g}" if isinstance(v, float) else str(v)) for v in row.values()))
    Console().print(table)


@kernels.command("list")
def list_kernels(as_json: _Json = False) -> None:
    """List the kernels with their implementations and what serves them on a CPU.

    Example: [bold]automl kernels list[/]
    """
    from automl.kernels import table

    rows: list[dict[str, object]] = []
    for name in table.KERNELS:
        spec = table.spec(name)
        rows.append(
            {
                "kernel": name,
                "summary": spec.summary,
                "implementations": ", ".join(spec.implementations),
                "cpu": spec.cpu,
            }
        )
    _print(rows, as_json)


@kernels.command("check")
def check(names: _Names = None, as_json: _Json = False) -> None:
    """Compare every implementation with its exact reference; exit code 1 when a case fails.

    Without a GPU, TRITON_INTERPRET=1 checks the Triton kernels in Triton's interpreter.

    Example: [bold]TRITON_INTERPRET=1 automl kernels check w8a8_linear[/]
    """
    from automl.kernels.checking import check_kernels

    rows = [asdict(row) for row in check_kernels(names or ())]
    _print(rows, as_json)
    if any(row["failed"] for row in rows):
        raise typer.Exit(EXIT_FAILED)


@kernels.command("compile")
def compile_all(
    names: _Names = None,
    arch: Annotated[
        list[str] | None, typer.Option("--arch", help="sm_80, sm_90, sm_100, gfx942; all when absent")
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option(help="only configurations whose name begins with this")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Compile the shipped configurations without a GPU and read the binaries; exit code 1 on a fault.

    A fault is a source that does not compile, a spilled register, more shared memory than the device has,
    missing matrix instructions, or a hot operand that is not read 16 bytes at a time.

    Example: [bold]automl kernels compile w8a8_linear --arch sm_90[/]
    """
    from automl.kernels.compilation.compiled import compile_kernels

    found = list(compile_kernels(names or (), arch or (), config or ()))
    _print([{**asdict(row), "faults": "; ".join(wrong)} for row, wrong in found], as_json)
    if any(wrong for _, wrong in found):
        raise typer.Exit(EXIT_FAILED)


@kernels.command("bench")
def bench_kernels(
    names: _Names = None,
    rounds: Annotated[int, typer.Option(min=4, help="turns of every call")] = 50,
    device: Annotated[
        str, typer.Option(help="cpu, cuda (ROCm too), or auto: the GPU where there is one")
    ] = "auto",
    as_json: _Json = False,
) -> None:
    """Time the kernels next to what torch has, in turns; on a GPU next to its roofline, too.

    On a CPU the dense products stand next to float and to the calls that they wrap. On a GPU every row comes
    from events of the device, with cold caches, and the output names device, driver and commit.

    Example: [bold]automl kernels bench --rounds 20[/]
    """
    from automl.stages.kernel_bench_device import measure_on_device
    from automl.stages.kernel_bench_device import wanted_device

    if wanted_device(device) == "cuda":
        found, facts = measure_on_device(names or (), rounds=rounds)
        _print([asdict(row) for row in found], as_json, facts)
        return
    if names:
        raise ConfigError(
            f"kernels are named ({', '.join(names)}), and on a CPU the dense products are timed together; "
            "leave the names out, or use --device cuda"
        )
    _print(_cpu_rows(rounds), as_json)


def _cpu_rows(rounds: int) -> list[dict[str, object]]:
    from automl.kernels.cpu_contenders import BASELINE
    from automl.kernels.cpu_contenders import SHAPES
    from automl.kernels.cpu_contenders import contenders
    from automl.kernels.interleaved import interleave

    rows: list[dict[str, object]] = []
    for shape in SHAPES:
        found = interleave(contenders(shape), time.perf_counter, rounds=rounds)
        base = found[BASELINE].median_ms
        for name, spread in found.items():
            ratio = base / spread.median_ms
            rows.append({"m,k,n": str(shape), "call": name, **asdict(spread), "times_f32": ratio})
    return rows
