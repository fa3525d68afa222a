from __future__ import annotations

import sys

import pytest

from automl.cli import app as module
from automl.core.errors import ConfigError

COMMANDS = ("search", "resume", "show", "export", "bench", "doctor", "strategies", "report")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_a_worked_example(shell, command):
    said = shell(command, "--help")
    assert said.code == 0
    assert f"Example: automl {command}" in said.out


def test_the_list_of_commands_names_them_all(shell):
    said = shell("--help")
    assert said.code == 0
    assert all(command in said.out for command in COMMANDS)
    assert "--install-completion" in said.out


def test_without_arguments_the_commands_are_listed(shell):
    said = shell()
    assert said.code == 0
    assert said.out == shell("--help").out


def test_a_deliberate_error_is_one_line_on_stderr_and_exit_2(shell, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise ConfigError("the first line\n  and the second [bold]one[/]")

    monkeypatch.setattr(module, "app", refuse)
    said = shell("anything")
    assert said.code == 2
    assert said.err == "automl: the first line and the second [bold]one[/]\n"
    assert said.out == ""


def test_what_the_system_refuses_is_one_line_with_the_file(shell, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/data/run")

    monkeypatch.setattr(module, "app", refuse)
    said = shell("anything")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "/data/run" in said.err
    assert "No space left" in said.err


def test_a_lack_of_memory_says_what_to_ask_less_of(shell, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 24 GiB")

    monkeypatch.setattr(module, "app", refuse)
    said = shell("anything")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "24 GiB" in said.err
    assert "--evaluation" in said.err


def test_a_defect_is_not_hidden(monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "app", broken)
    monkeypatch.setattr(sys, "argv", ["automl"])
    with pytest.raises(ZeroDivisionError):
        module.main()
