"""The address of a database without what must stay secret."""

from __future__ import annotations

import re

__all__ = ["public_url"]

#: Scheme, user and password, host, port, database, query; it fits no password with characters left unencoded.
_PATTERN = re.compile(r"([\w+]+)://(?:[^/@?#]*@)?([\w.-]+)(?::\d+)?(/[\w.-]*)?(?:\?[^@]*)?")


def public_url(text: str) -> str:
    """Return a storage address fit for messages, reports and artifacts: scheme, host and database.

    User, password, port and query are left out. Where the parts cannot be told apart only the scheme is
    shown, because any of the rest may be a password. Text without a scheme is a path and stays as it is.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    if scheme.partition("+")[0] == "sqlite":
        return f"{scheme}://{rest.partition('?')[0]}"
    found = _PATTERN.fullmatch(text)
    return f"{scheme}://..." if found is None else f"{scheme}://{found[2]}{found[3] or ''}"
