"""The ``automl`` command: one sub-command a file, one place where errors become exit codes.

Exit codes: 0 done and budgets met, 2 bad input, 3 finished but no candidate meets the hard budgets or a cell
of a sweep failed, 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import NoReturn

import typer
from rich.console import Console

from automl.cli.bench import bench
from automl.cli.doctor import doctor
from automl.cli.export import export
from automl.cli.kernels import kernels
from automl.cli.profile_model import profile
from automl.cli.report import report
from automl.cli.resume import resume
from automl.cli.search import search
from automl.cli.show import show
from automl.cli.strategies import strategies
from automl.cli.sweep import sweep
from automl.cli.usage import Commands
from automl.cli.usage import usage_sentence
from automl.core.errors import AutomlError

__all__ = ["app", "main"]

app = typer.Typer(
    name="automl",
    cls=Commands,
    help="Search bits for every layer of a PyTorch model, priced by latency measured on this machine.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (search, sweep, resume, show, export, bench, profile, doctor, strategies, report):
    app.command()(command)
app.add_typer(kernels)

EXIT_BAD_INPUT = 2


def main() -> None:
    """Run the command line; every deliberate error becomes one sentence on stderr and exit code 2."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    for noisy in (
        "torch.onnx",
        "torch._dynamo",
        "torch.export",
        "onnxscript",
        "onnx_ir",
        "transformers",
        "nncf",
    ):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    console = Console(stderr=True, soft_wrap=True)
    arguments = sys.argv[1:] or ["--help"]
    try:
        code = app(arguments, prog_name="automl", standalone_mode=False)
    except typer.TyperException as error:
        _refuse(console, usage_sentence(error, arguments))
    except AutomlError as error:
        _refuse(console, str(error))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _refuse(
            console,
            f"the system refused{where}: {error.strerror or error}; check space and permissions and resume",
        )
    except MemoryError as error:
        _refuse(
            console,
            f"memory ran out ({error or 'no size given'}); ask for fewer samples with --evaluation and "
            "--calibration, a smaller --batch or fewer --workers",
        )
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(console: Console, text: str) -> NoReturn:
    """Print one line, whatever line ends the reason carries, and leave."""
    line = " ".join(text.split())
    console.print(f"automl: {line}", style="red", markup=False, highlight=False)
    sys.exit(EXIT_BAD_INPUT)


if __name__ == "__main__":
    main()
