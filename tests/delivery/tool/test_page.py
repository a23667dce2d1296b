"""The page of ``python -m delivery`` names all that it takes."""

from __future__ import annotations

import argparse
import re

from delivery.arguments import parser

from .conftest import TEMPLATE

PAGE = (TEMPLATE.parent / "docs" / "delivery.rst").read_text(encoding="utf-8")
# What one part of the package tells another.
OWN = {"DELIVERY_ATTEMPT", "DELIVERY_RESULT", "DELIVERY_SHA256", "DELIVERY_STAGE"}


def heads() -> str:
    """Return what the page has entries of."""
    return "\n".join(line for line in PAGE.splitlines() if line.startswith("``"))


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of every command."""
    (found,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(found.choices)


def test_every_command_is_on_its_page_and_no_other() -> None:
    assert set(re.findall(r"``([a-z]+)", heads())) == set(commands())


def test_every_option_of_a_command_with_an_entry_is_one() -> None:
    for name, said in re.findall(r"``([a-z]+)([^`]*)``", heads()):
        known = commands()[name]._option_string_actions
        assert set(re.findall(r"--[a-z-]+", said)) <= set(known), name


def test_every_variable_is_on_its_page_and_no_other() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (TEMPLATE / "delivery").rglob("*.py")]
    read = set(re.findall(r"\bDELIVERY_[A-Z0-9_]+", "\n".join(sources))) - OWN
    assert set(re.findall(r"\bDELIVERY_[A-Z0-9_]+", heads())) == read
