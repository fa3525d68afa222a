"""The compiled kernels in this process, or the reason why torch's operators serve instead of them."""

from __future__ import annotations

import ctypes
import logging
import os
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import KernelError
from automl.core.errors import unknown_name
from automl.kernels.native.building import build
from automl.kernels.native.building import default_folder
from automl.kernels.native.toolchain import NoToolchain
from automl.kernels.native.toolchain import find_toolchain
from automl.kernels.native.toolchain import loaded_pools

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["SWITCH", "WAYS", "Native", "load", "native", "native_obstacle", "using"]

#: Environment variable: ``0`` leaves the kernels out, ``plain`` takes their loops without intrinsics.
SWITCH = "AUTOML_NATIVE"

#: ``vector``: intrinsics where the processor has them; ``plain``: portable loops; ``off``: torch alone.
WAYS = ("vector", "plain", "off")

_log = logging.getLogger(__name__)
_ordered: list[str] = []


class Native:
    """A loaded library; its functions are looked up once.

    Args:
        handle: of the dynamic loader.
    """

    def __init__(self, handle: ctypes.CDLL) -> None:
        self._handle = handle
        self._found: dict[str, Callable[..., Any]] = {}

    def function(self, name: str, arguments: Sequence[Any], result: Any = None) -> Callable[..., Any]:
        """Return a C function.

        Args:
            name: of the symbol.
            arguments: ctypes types.
            result: ctypes type, None for void.
        """
        if name not in self._found:
            found = getattr(self._handle, name)
            found.argtypes, found.restype = list(arguments), result
            self._found[name] = found
        return self._found[name]

    def take(self, way: str) -> None:
        """Let every kernel take its ``vector`` or its ``plain`` form from now on."""
        self.function("automl_take_vectors", (ctypes.c_int,))(int(way == "vector"))


def load(path: Path) -> Native:
    """Return the library.

    Raises:
        NoToolchain: it does not load, or it brought another thread pool than torch's.
    """
    before = loaded_pools()
    try:
        handle = ctypes.CDLL(str(path))
    except OSError as error:
        raise NoToolchain(f"{path} does not load ({error}); remove it") from error
    if more := set(loaded_pools()) - set(before):
        raise NoToolchain(f"{path} brought the thread pool {more.pop()} beside torch's")
    return Native(handle)


@cache
def _loaded() -> Native | str:
    try:
        found = load(build(find_toolchain(), default_folder()))
    except NoToolchain as reason:
        _log.warning("the native kernels cannot be built: %s; operators of torch serve instead", reason)
        return str(reason)
    return found


def _way() -> str:
    if _ordered:
        return _ordered[-1]
    value = os.environ.get(SWITCH, "")
    return {"0": "off", "plain": "plain"}.get(value, "vector")


def native() -> Native | None:
    """Return the kernels, compiled on the first call (seconds), or None when torch serves instead."""
    way = _way()
    if way == "off":
        return None
    found = _loaded()
    if isinstance(found, str):
        return None
    found.take(way)
    return found


def native_obstacle() -> str | None:
    """Return why there are no native kernels, or None when there are."""
    if _way() == "off":
        return f"{SWITCH}=0 turns the native kernels off"
    found = _loaded()
    return found if isinstance(found, str) else None


@contextmanager
def using(way: str) -> Iterator[None]:
    """Take one of ``WAYS`` for what is packed and called inside, whatever the environment says.

    Raises:
        KernelError: the way has no such name.
    """
    if way not in WAYS:
        raise KernelError(unknown_name("way", way, WAYS))
    _ordered.append(way)
    try:
        native()
        yield
    finally:
        _ordered.pop()
        native()
