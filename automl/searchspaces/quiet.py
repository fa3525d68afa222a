"""Keep what torch.export says on its own off the terminal; the errors it raises are what counts."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from contextlib import contextmanager
from contextlib import redirect_stderr
from typing import TYPE_CHECKING
from typing import Any
from typing import TextIO
from typing import cast

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["quiet"]


class _Muted:
    """A stream that drops what one thread writes and passes on the rest, such as a progress bar's.

    Args:
        stream: the real one.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        """Write, unless it is the muted thread that does."""
        return len(text) if threading.get_ident() == self._thread else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, log lines and prints to standard error of this thread; errors still raise.

    A refused export prints the graph it had so far to standard error, which no logger setting prevents.
    """
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(cast("TextIO", _Muted(sys.stderr))):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
