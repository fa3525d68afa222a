"""The other end of :mod:`automl.targets.worker`: start, feed, time out and restart the process."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import EvaluationError
from automl.core.errors import TargetError
from automl.targets.worker import OWN_CORE
from automl.targets.worker import read_message
from automl.targets.worker import write_message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

    Message = tuple[dict[str, Any], list[NDArray[np.generic]]]

__all__ = ["WorkerClient"]

#: Compiled models kept loaded between calls.
_KEPT = 4


class WorkerClient:
    """A measuring process that is started on first use and again after it died.

    Args:
        runtime: name in :data:`automl.targets.worker.BACKENDS`.
        threads: inference threads.
        environment: variables set before the runtime is loaded.
        timeout_s: seconds a command may take; then the process is killed and the command fails.
        own_core: keep the process to a core that no other such process has.
    """

    def __init__(
        self,
        runtime: str,
        threads: int,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 600.0,
        *,
        own_core: bool = False,
    ) -> None:
        self._runtime = runtime
        self._threads = threads
        self._own_core = own_core
        self._environment = dict(environment or {})
        self.timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._reader: threading.Thread | None = None
        self._log: Any = None
        self._handles: dict[tuple[Any, ...], tuple[int, int | None]] = {}
        self._lock = threading.RLock()

    @property
    def pid(self) -> int | None:
        """Process id of the running worker, None when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def call(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        arrays: Sequence[NDArray[np.generic]] = (),
    ) -> Message:
        """Send a command and return (reply, arrays).

        Raises:
            TargetError: the worker or its runtime cannot be started.
            EvaluationError: the command failed, the worker died, or the time-out passed.
        """
        with self._lock:
            process = self._running()
            try:
                write_message(_pipe(process.stdin), {**(arguments or {}), "command": command}, arrays)
                return self._receive(command)
            except OSError as error:
                raise EvaluationError(self._death(command)) from error
            except KeyboardInterrupt:
                self._kill()  # its reply would be taken for the answer to the next command
                raise

    def load(
        self, path: Path, *, float_type: str, shapes: Sequence[Sequence[int]], profile: bool = False
    ) -> tuple[int, int | None]:
        """Return (handle, batch) of the compiled file, compiled anew only when the file or a setting changed.

        Raises:
            TargetError: as :meth:`call`.
            EvaluationError: as :meth:`call`, or there is no such file.
        """
        if not Path(path).is_file():
            raise EvaluationError(f"there is no model file '{path}'")
        facts = Path(path).stat()
        sizes = tuple(tuple(int(d) for d in s) for s in shapes)
        key = (str(Path(path).resolve()), facts.st_mtime_ns, facts.st_size, float_type, sizes, profile)
        with self._lock:
            self._running()
            if key in self._handles:
                self._handles[key] = self._handles.pop(key)  # most recently used last
                return self._handles[key]
            arguments = {"path": key[0], "float_type": float_type, "shapes": sizes, "profile": profile}
            reply, _ = self.call("load", arguments)
            self._handles[key] = (reply["handle"], reply["batch"])
            return self._handles[key]

    def unload(self, handle: int) -> None:
        """Forget a compiled model; nothing to do when the worker is gone."""
        with self._lock:
            self._handles = {k: v for k, v in self._handles.items() if v[0] != handle}
            if self.pid is not None:
                self.call("unload", {"handle": handle})

    def trim(self, keep: int = _KEPT) -> None:
        """Unload the least recently used models beyond ``keep``."""
        with self._lock:
            while len(self._handles) > keep and self.pid is not None:
                handle, _ = self._handles.pop(next(iter(self._handles)))
                self.call("unload", {"handle": handle})

    def close(self) -> None:
        """Stop the process; a later call starts a new one."""
        with self._lock:
            process, self._process = self._process, None
            self._handles.clear()
            if process is None:
                return
            _close(process.stdin)
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if self._reader is not None:
                self._reader.join(timeout=2)
            # A reader that still waits holds the pipe (its other end was inherited): closing would hang.
            if self._reader is None or not self._reader.is_alive():
                _close(process.stdout)
            if self._log is not None:
                self._log.close()
                self._log = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        self._log = tempfile.TemporaryFile(prefix="automl-worker-")  # noqa: SIM115 - lives as long as the process
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "OMP_NUM_THREADS": str(self._threads),
            **self._environment,
        }
        command = [sys.executable, "-P", "-m", "automl.targets.worker", self._runtime, str(self._threads)]
        command += [OWN_CORE] if self._own_core else []
        # A group of its own keeps Ctrl-C for the driver.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            process_group=0,
        )
        self._replies = queue.SimpleQueue()
        self._reader = threading.Thread(
            target=_collect, args=(_pipe(self._process.stdout), self._replies), daemon=True
        )
        self._reader.start()
        try:
            self._receive("start")
        except EvaluationError as error:
            self.close()
            raise TargetError(f"target '{self._runtime}' cannot be started: {error}") from error
        return self._process

    def _receive(self, command: str) -> Message:
        try:
            message = self._replies.get(timeout=self.timeout_s)
        except queue.Empty:
            self._kill()
            raise EvaluationError(
                f"the {self._runtime} worker was stopped: '{command}' took more than {self.timeout_s:g} s"
            ) from None
        if message is None:
            raise EvaluationError(self._death(command))
        if not message[0].pop("ok"):
            raise EvaluationError(f"{self._runtime} failed at '{command}': {message[0]['error']}")
        return message

    def _death(self, command: str) -> str:
        """Bury a dead process and say how it died."""
        process = self._process
        code: int | None = None
        if process is not None:
            try:
                code = process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
        tail = ""
        if self._log is not None:
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            tail = f": {lines[-1][:300]}" if lines else ""
        self.close()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"the {self._runtime} worker died during '{command}' ({how}){tail}"

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
        self.close()


def _close(pipe: Any) -> None:
    """Close a pipe whose other end may be gone."""
    try:
        pipe.close()
    except OSError:
        return


def _pipe(pipe: Any) -> BinaryIO:
    return pipe  # type: ignore[no-any-return]


def _collect(stream: BinaryIO, replies: queue.SimpleQueue[Message | None]) -> None:
    """Move replies from the pipe to the queue; None when the process is gone."""
    while True:
        try:
            message = read_message(stream)
        except (EOFError, ValueError, OSError):
            message = None
        replies.put(message)
        if message is None:
            return
