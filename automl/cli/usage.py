"""What the command-line parser refuses, as one sentence that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import typer
from typer.core import TyperGroup

from automl.core.errors import ConfigError
from automl.core.errors import did_you_mean
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Commands", "usage_sentence"]

_WANTED: dict[Any, str] = {int: "a whole number", float: "a number"}


class Commands(TyperGroup):
    """The commands of ``automl``; an unknown one is refused with the nearest and all that there are."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first argument names, and the arguments left for it.

        Raises:
            ConfigError: there is no such command.
        """
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise ConfigError(unknown_name("command", name, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


def usage_sentence(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """Return the sentence for a usage error.

    The parser's exception classes are not public, so they are told apart by what they carry.

    Args:
        error: what the parser raised.
        arguments: the command line without the program; names the command where the error does not.
    """
    context = getattr(error, "ctx", None)
    named = bool(arguments) and not arguments[0].startswith("-")
    command = context.command_path if context is not None else f"automl {arguments[0]}" if named else "automl"
    more = f"see {command} --help"
    parameter = getattr(error, "param", None)
    if hasattr(error, "param_type") and parameter is not None:
        said = getattr(parameter, "help", None)
        what = f"{_shown(parameter)} ({said})" if said else _shown(parameter)
        return f"{command} needs {what}; write: {_usage(context)}"
    if isinstance(error, typer.BadParameter) and parameter is not None:
        return f"{_shown(parameter)} {_refused(error, parameter)}; {more}"
    if hasattr(error, "possibilities") and context is not None:
        name, known = str(getattr(error, "option_name", "")), _options(context)
        return f"unknown option '{name}' of {command}{did_you_mean(name, known) or ';'} {more}"
    message = error.format_message().strip().rstrip(".")
    message = f"{message[:1].lower()}{message[1:]}"
    return f"{message}; {more}" if context is None else f"{message}; write: {_usage(context)}, {more}"


def _usage(context: Any) -> str:
    """Return how a command is written: its name, options and arguments, what may be absent in brackets."""
    words = [context.command_path, "[OPTIONS]"]
    for parameter in context.command.get_params(context):
        if getattr(parameter, "param_type_name", "") == "argument":
            word = _shown(parameter) + ("..." if parameter.nargs == -1 else "")
            words.append(word if parameter.required else f"[{word}]")
    return " ".join(words)


def _options(context: Any) -> list[str]:
    return [
        name for parameter in context.command.get_params(context) for name in parameter.opts if "-" in name
    ]


def _shown(parameter: Any) -> str:
    """Return an option as it is written, an argument as the help calls it."""
    if getattr(parameter, "param_type_name", "") == "option":
        return str(max(parameter.opts, key=len))
    return str(getattr(parameter, "metavar", None) or parameter.name).strip("[]{}.")


def _refused(error: typer.BadParameter, parameter: Any) -> str:
    """Return what was given and what is wanted, for a value of the wrong type."""
    found = getattr(error.__cause__, "errors", None)
    given = f"got '{found()[0]['input']}'" if callable(found) else f"is not usable ({error.message})"
    wanted = _WANTED.get(getattr(parameter.type_descriptor, "annotation", None))
    if wanted is None:
        return f"{given}: {error.message}"
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    bounds = [
        f"{words} {value}" for words, value in (("at least", least), ("at most", most)) if value is not None
    ]
    return f"{given} and takes {wanted}" + (f" of {' and '.join(bounds)}" if bounds else "")
