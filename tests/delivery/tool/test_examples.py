"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import re

import pytest

from .conftest import TEMPLATE

FOLDER = TEMPLATE / "delivery"
# What runs on hosts, and inside of Ansible, is no part of the package.
MODULES = sorted(
    ".".join(path.relative_to(TEMPLATE).with_suffix("").parts)
    for path in FOLDER.rglob("*.py")
    if re.search(r"^\s+>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
    and path.relative_to(FOLDER).parts[0] not in ("roles", "plugins")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed


def test_modules_with_examples_are_found() -> None:
    assert {"delivery.view", "delivery.ledger.event", "delivery.pipeline.progress"} <= {*MODULES}
