"""What the docs name exists: files, modules, commands, words."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def broken_links(text, folder):
    """Return the relative links of a Markdown page that lead nowhere."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [t for t in targets if "://" not in t and not (folder / t).exists()]


def missing_paths(text):
    """Return paths of the checkout named in code spans that do not exist; ``*`` may stand for names."""
    named = re.findall(r"`((?:automl|tests|docs)/[\w./*-]+)`", text)
    return [n for n in named if not list(ROOT.glob(n.rstrip("/")))]


def unknown_commands(text, known):
    """Return ``automl WORD`` commands in code that do not exist."""
    used = re.findall(r"(?:^|`|\$ )automl ([a-z]+)", text, flags=re.MULTILINE)
    return [u for u in used if u not in known]


def commands():
    """Return the names of the commands."""
    from automl.cli.app import app

    groups = {group.typer_instance.info.name for group in app.registered_groups}
    return {command.callback.__name__ for command in app.registered_commands} | groups


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_page_names_what_exists(page):
    text = page.read_text(encoding="utf-8")
    assert broken_links(text, page.parent) == []
    assert missing_paths(text) == []
    assert unknown_commands(text, commands()) == []


def test_the_checks_see_what_is_missing():
    assert broken_links("[a](nowhere.md) [b](https://x.org)", ROOT) == ["nowhere.md"]
    assert missing_paths("`automl/core` `automl/nowhere.py`") == ["automl/nowhere.py"]
    assert unknown_commands("`automl serach x`", {"search"}) == ["serach"]


def test_glossary_has_every_precision_option():
    from automl.transforms.precision import PRECISIONS

    glossary = (ROOT / "docs" / "glossary.md").read_text()
    assert [p for p in PRECISIONS if f"`{p}`" not in glossary] == []


def test_license_is_apache_2():
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]
