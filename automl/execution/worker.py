"""The process at the other end of a local worker's pipe.

Started as ``python -m automl.execution.worker FD PARENT``. It imports nothing of the driver's main module, so
scripts need no guard, and thread settings are in its environment before any library loads. It ends with its
parent.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from automl.execution.memory_guard import run_guarded
from automl.execution.pool import ReportKind
from automl.execution.pool import failure_text

__all__ = ["main", "serve"]

_PARENT_CHECK_S = 0.5


def serve(connection: Connection[Any, Any]) -> None:
    """Receive the import path and (setup, work, memory cap), then answer payloads until the pipe closes."""
    try:
        sys.path[:] = connection.recv()
        setup, work, cap = connection.recv()
        state = setup()
    except (EOFError, ConnectionError):
        return
    except Exception as error:  # noqa: BLE001  the worker boundary: every reason travels back as text
        connection.send((ReportKind.SETUP_FAILED, failure_text(error), 0.0))
        return
    connection.send((ReportKind.READY, None, 0.0))
    while True:
        try:
            payload = connection.recv()
        except (EOFError, OSError):
            return
        start = time.perf_counter()
        kind, value = run_guarded(work, state, payload, cap)
        seconds = time.perf_counter() - start
        try:
            connection.send((kind, value, seconds))
        except OSError:
            return
        except Exception as error:  # noqa: BLE001  a result that cannot travel is a failed job
            connection.send((ReportKind.FAILED, f"the result cannot be sent: {failure_text(error)}", seconds))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    os._exit(1)


def main(arguments: list[str]) -> None:
    """Serve the pipe whose file descriptor and parent process are given as text."""
    descriptor, parent = map(int, arguments)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    serve(Connection(descriptor))


if __name__ == "__main__":
    main(sys.argv[1:])
