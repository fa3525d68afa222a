"""A journal on a Redis server, in the form in which Optuna keeps one there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping

__all__ = ["RedisLines", "is_redis"]

_SCHEMES = ("redis://", "rediss://")


def is_redis(url: object) -> bool:
    """Return whether a location is the URL of a Redis server."""
    return isinstance(url, str) and url.startswith(_SCHEMES)


class RedisLines:
    """The entries of the one journal that a Redis database holds; all studies there share it.

    Optuna's journal storage would look for a pickled snapshot on the server and load it: whoever may write to
    the server could run code here. Only the entries, which are JSON, are read, and no snapshot is written.

    Args:
        url: of the server; user, password and number of the database are optional.

    Raises:
        ImportError: the driver is not installed.
        ValueError: the URL is not understood.
    """

    checked = False
    repair: str | None = None

    def __init__(self, url: str) -> None:
        import redis
        from optuna.storages.journal import JournalRedisBackend

        self._client = redis.Redis.from_url(url)
        self._error = redis.exceptions.RedisError
        # It says on every start that it may change; the pinned interface is two methods.
        self._backend = _without_warning(JournalRedisBackend, url)
        self._read = 0

    def ping(self) -> None:
        """Raise OSError when the server does not answer or refuses."""
        with self._as_os_error():
            self._client.ping()

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield the entries that were not handed out yet.

        Raises:
            OSError: the server does not answer, or holds fewer entries than it did.
        """
        with self._as_os_error():
            held = int(self._client.get(":log_number") or -1) + 1
            if held < self._read:
                raise OSError(
                    f"the server lost {self._read - held} entries; let it keep its data (appendonly yes)"
                )
            for entry in self._backend.read_logs(self._read):
                self._read += 1
                yield entry

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write an entry.

        Raises:
            OSError: the server does not answer or refuses.
        """
        with self._as_os_error():
            self._backend.append_logs([dict(entry)])

    @contextmanager
    def _as_os_error(self) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            raise OSError(str(error)) from error


def _without_warning(make: Any, url: str) -> Any:
    import warnings

    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return make(url)
