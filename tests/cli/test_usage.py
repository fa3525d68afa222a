from __future__ import annotations

import pytest
import typer

from automl.cli.usage import usage_sentence


def one_sentence(said) -> str:
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.startswith("automl: ")
    assert said.err.count("\n") == 1, said.err
    return said.err


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("search", "m", "--bugdet", "latency=5ms"), ("'--bugdet' of automl search", "mean '--budget'")),
        (("search", "m", "-z"), ("unknown option '-z'", "see automl search --help")),
        (("search", "m", "--trials", "many"), ("--trials got 'many' and takes a whole number",)),
        (
            ("kernels", "bench", "--rounds", "3"),
            ("--rounds got '3' and takes a whole number of at least 4;",),
        ),
        (("search", "m", "--seed", "1.5"), ("--seed got '1.5' and takes a whole number",)),
        (("bench", "m", "--repeats", ""), ("--repeats got '' and takes a whole number",)),
        (("search", "m", "n"), ("extra argument", "(n)", "write: automl search [OPTIONS] [MODEL]")),
        (("show",), ("needs RUN (the run folder)", "write: automl show [OPTIONS] RUN [ID]")),
        (("resume",), ("needs RUN", "write: automl resume [OPTIONS] RUN")),
        (("bench",), ("needs ARTIFACT|MODEL", "write: automl bench [OPTIONS] ARTIFACT|MODEL...")),
    ],
)
def test_a_usage_error_is_one_sentence_that_says_what_to_write(shell, arguments, words, as_json):
    sentence = one_sentence(shell(*arguments, *as_json))
    assert all(word in sentence for word in words), sentence


def test_commands_without_json_say_what_is_missing_too(shell):
    assert "needs OUT" in one_sentence(shell("export", "run", "best"))
    assert "needs RUN" in one_sentence(shell("report"))
    assert "mean '--json'" in one_sentence(shell("doctor", "--jsn"))


def test_an_option_without_its_value_names_the_option_and_the_help(shell):
    sentence = one_sentence(shell("search", "m", "--trials"))
    assert "'--trials' requires an argument" in sentence
    assert "see automl search --help" in sentence


@pytest.mark.parametrize(("wrong", "near"), [("serach", "search"), ("Bench", "bench"), ("exp", "export")])
def test_an_unknown_command_names_the_nearest_and_all(shell, wrong, near):
    sentence = one_sentence(shell(wrong, "m", "--json"))
    assert f"unknown command '{wrong}'; did you mean '{near}'?" in sentence
    assert "bench, doctor, export, kernels, profile, report, resume, search, show" in sentence


def test_an_option_before_the_command_is_refused(shell):
    assert "unknown option '--json' of automl;" in one_sentence(shell("--json", "search", "m"))


def test_what_the_parser_says_without_a_context_still_names_the_command():
    error = typer.TyperException("Something Else.")
    assert usage_sentence(error, ["show", "x"]) == "something Else; see automl show --help"
    assert usage_sentence(error, []) == "something Else; see automl --help"
