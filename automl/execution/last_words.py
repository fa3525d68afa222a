"""A sentence for the case in which this process ends without being able to say one.

Ray ends the driver's process at once when the Ray node on its machine is gone; no handler of Python runs. A
small process that waits for the driver's end says what happened and how to go on.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
from contextlib import suppress

__all__ = ["LastWords"]

#: Reads until the pipe closes; anything that came through it means that nothing is to be said.
_WAITER = "import sys\nif not sys.stdin.buffer.read():\n    sys.stderr.write(sys.argv[1] + '\\n')\n"


class LastWords:
    """Says a text on standard error when this process ends before :meth:`dismiss`.

    Args:
        text: one sentence.
    """

    def __init__(self, text: str) -> None:
        self._waiter: subprocess.Popen[bytes] | None = None
        # Without it only the sentence is missing. A group of its own keeps Ctrl-C for the driver.
        with suppress(OSError):
            self._waiter = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WAITER, text],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                process_group=0,
            )
        atexit.register(self.dismiss)

    def dismiss(self) -> None:
        """Let nothing be said; a second call does nothing."""
        waiter, self._waiter = self._waiter, None
        atexit.unregister(self.dismiss)
        if waiter is None or waiter.stdin is None:
            return
        with suppress(OSError):
            waiter.stdin.write(b".")
        with suppress(OSError):
            waiter.stdin.close()
        waiter.wait()
