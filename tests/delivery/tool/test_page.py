"""The pages name all that ``python3 -m delivery`` and a stage take."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields

from delivery.arguments import parser
from delivery.tables import Stage

from .conftest import TEMPLATE

DOCS = TEMPLATE.parent / "docs"
PAGE = (DOCS / "delivery.rst").read_text(encoding="utf-8")
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


def test_every_key_of_a_stage_is_in_the_table() -> None:
    table = (DOCS / "pipeline.rst").read_text(encoding="utf-8").split("A stage of your own")[1]
    heads = "".join(re.findall(r"^   \* - (.*)$", table, re.MULTILINE))
    keys = {field.name for field in fields(Stage)} - {"name", "artifact"}
    assert set(re.findall(r"``(\w+)``", heads)) == keys
