"""Where a ledger is kept: a journal file, a Redis server, or a database that Optuna's RDB storage takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import optuna
import sqlalchemy
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import SQLAlchemyError

from automl.core.errors import LedgerError
from automl.core.storage_url import public_url
from automl.ledger_file import cannot_write
from automl.ledger_journal import FileLines
from automl.ledger_journal import JournalStudy
from automl.ledger_redis import RedisLines
from automl.ledger_redis import is_redis
from automl.ledger_study import DatabaseStudy

if TYPE_CHECKING:
    from automl.ledger_study import Study

__all__ = ["STORAGE_ERRORS", "check_storage", "is_server", "location", "open_study", "public"]

#: What a storage raises when the system or the database refuses.
STORAGE_ERRORS = (OSError, optuna.exceptions.OptunaError, SQLAlchemyError)

_GIVE = (
    "give an Optuna RDB URL such as sqlite:///run.db, or redis://HOST:6379, or leave the storage out to use "
    "a journal file"
)


def location(path_or_url: Path | str) -> Path | str:
    """Return text with a scheme as it is, anything else as the path of a journal file."""
    return path_or_url if isinstance(path_or_url, str) and "://" in path_or_url else Path(path_or_url)


def is_server(where: Path | str) -> bool:
    """Return whether a location is a server's, which may be away for a moment, and not a file."""
    return isinstance(where, str) and not where.startswith("sqlite")


def public(where: Path | str) -> str:
    """Return a location without the password that a URL may carry."""
    return str(where) if isinstance(where, Path) else public_url(where)


def open_study(where: Path | str, name: str, *, mend: bool = False) -> Study:
    """Return the study of a name at a journal file or URL, not read yet.

    Args:
        where: see :func:`location`.
        name: of the study.
        mend: whether to repair the torn last line of a journal file.

    Raises:
        LedgerError: it cannot be opened or a driver is missing.
    """
    try:
        if isinstance(where, Path):
            return JournalStudy(FileLines(where, mend=mend), name)
        if is_redis(where):
            return JournalStudy(RedisLines(where), name)
        # A connection that a restarted server dropped is found dead before it is used.
        return DatabaseStudy(optuna.storages.RDBStorage(where, engine_kwargs={"pool_pre_ping": True}), name)
    except ArgumentError as error:
        raise LedgerError(_not_understood(where)) from error
    except STORAGE_ERRORS as error:
        raise LedgerError(cannot_write(public(where), error)) from error
    except ImportError as error:
        raise LedgerError(_no_driver(where, error)) from error
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        # The reason may quote the URL, password included.
        if isinstance(where, str):
            raise LedgerError(_not_understood(where)) from error
        raise LedgerError(f"the ledger {where} cannot be read: {error}; {_GIVE}") from error


def check_storage(url: str) -> None:
    """Refuse a storage that a run could not record to, before anything is measured; leaves nothing.

    Raises:
        LedgerError: the URL is not understood, its driver is missing, or the database does not answer.
    """
    if "://" not in url:
        raise LedgerError(f"the storage '{url}' is no URL; {_GIVE}")
    if is_redis(url):
        _check_redis(url)
        return
    try:
        engine = sqlalchemy.create_engine(url)
    except ArgumentError as error:
        raise LedgerError(_not_understood(url)) from error
    except ImportError as error:
        raise LedgerError(_no_driver(url, error)) from error
    except (ValueError, TypeError) as error:
        raise LedgerError(_not_understood(url)) from error
    try:
        if engine.url.get_backend_name() == "sqlite" and _is_new_file(url, engine.url.database):
            return
        with engine.connect() as connection:
            sqlalchemy.inspect(connection).get_table_names()
    except (SQLAlchemyError, OSError) as error:
        raise LedgerError(_no_answer(url, error)) from error
    finally:
        engine.dispose()


def _check_redis(url: str) -> None:
    try:
        RedisLines(url).ping()
    except ImportError as error:
        raise LedgerError(_no_driver(url, error)) from error
    except ValueError as error:
        raise LedgerError(_not_understood(url)) from error
    except OSError as error:
        raise LedgerError(_no_answer(url, error)) from error


def _is_new_file(url: str, database: str | None) -> bool:
    """Return whether SQLite would make the file; opening it would leave an empty one behind.

    Raises:
        LedgerError: it would be kept in memory alone, or its folder cannot be written.
    """
    if not database or database == ":memory:":
        raise LedgerError(f"the storage {public(url)} is kept in memory and lost with the run; {_GIVE}")
    file = Path(database)
    if file.exists():
        return False
    try:
        file.touch()
        file.unlink()
    except OSError as error:
        raise LedgerError(
            f"the storage {public(url)} cannot be made ({error.strerror or error}); {_GIVE}"
        ) from error
    return True


def _no_answer(url: str, error: BaseException) -> str:
    reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    return (
        f"the storage {public(url)} does not answer ({reason}); check that the database runs and that "
        "the URL is right, or leave the storage out to use a journal file"
    )


def _not_understood(where: Path | str) -> str:
    return f"the storage '{public(where)}' is not understood; {_GIVE}"


def _no_driver(where: Path | str, error: ImportError) -> str:
    return (
        f"the storage '{public(where)}' needs a database driver that is not installed ({error}); "
        "install it with pip, or leave the storage out to use a journal file"
    )
