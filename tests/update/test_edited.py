"""An edited project: an update brings what is new, and takes nothing that is theirs."""

from __future__ import annotations

import difflib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from delivery.git import Git
from delivery.template import conflicts

from tests.cookiecutter.conftest import Files
from tests.update.conftest import (
    RELEASES,
    Begin,
    content,
)
from tests.update.conftest import edit as change
from tests.update.conftest import fresh, merged, once, save, update

# What people change where, and what they add at the end of a file.
CHANGES = {
    "pyproject.toml": [
        ('    "python-json-logger>=4",\n', '    "python-json-logger>=4",\n    "httpx>=0.28",\n'),
        ('test = ["pytest", ', 'test = ["hypothesis", "pytest", '),
        ("[tool.black]\nline-length = 100\n", "[tool.black]\nline-length = 120\n"),
        ("line_length = 100\n", "line_length = 120\n"),
        ("fail_under = 100\n", "fail_under = 90\n"),
    ],
    "tox.toml": [('"GIT_*", "HOME"', '"GIT_*", "PARCEL_*", "HOME"')],
    "delivery.toml": [
        ('remote = ""', 'remote = "origin"'),
        ("[stages.unit]\nbudget = 5\n", "[stages.unit]\nbudget = 20\n"),
    ],
    ".flake8": [
        ("max-line-length = 100\n", "max-line-length = 120\n"),
        ("E701, E704\n", "E701, E704, B008\n"),
    ],
    "delivery/inventories/production/hosts.yml": [
        ("service_environment: {}", "service_environment: {PARCEL_GREETING: Moin}")
    ],
    "src/hello_delivery/settings.py": [("Hello", "Moin")],
}
ENDS = {
    "pyproject.toml": '\n[tool.parcels]\nweight = "kg"\n',
    "tox.toml": '\n[env.parcels]\ndescription = "weigh"\ncommands = [["true"]]\n',
    "delivery.toml": '\n[stages.parcels]\nneeds = ["acceptance"]\nbudget = 9\n',
    ".gitignore": "*.parcel\n",
}
WRITTEN = {
    "README.md": "# Parcels\n\nOurs, all of it.\n",
    "src/hello_delivery/app.py": '"""Parcels."""\n',
    "delivery/parcels.yml": "---\nours: true\n",
    ".github/workflows/parcels.yml": "---\nname: parcels\n",
}
REMOVED = (
    "src/hello_delivery/greeting.py",
    "tests/unit",
    "docs/index.rst",
    "delivery/rollback.yml",
)
# The same of a command that ruff looks after; with another setting of the linter.
COMMAND: dict[str, object] = {"kind": "cli", "linter": "ruff"}
COMMAND_CHANGES = {
    "pyproject.toml": [
        ('    "click>=8.2",\n', '    "click>=8.2",\n    "httpx>=0.28",\n'),
        ('test = ["pytest", ', 'test = ["hypothesis", "pytest", '),
        ("[tool.ruff]\nline-length = 100\n", "[tool.ruff]\nline-length = 120\n"),
        ('"SIM", "UP", "W"]\n', '"SIM", "UP", "W"]\nignore = ["E701"]\n'),
    ],
    "tox.toml": CHANGES["tox.toml"],
    "delivery.toml": CHANGES["delivery.toml"],
    "src/hello_delivery/greeting.py": [("'Hello, world!'", "'Moin, world!'")],
}
COMMAND_WRITTEN = {
    name: text for name, text in WRITTEN.items() if name != "src/hello_delivery/app.py"
}
COMMAND_REMOVED = ("tests/unit", "docs/index.rst")
# What an update itself writes, and what is not there any more.
UNTOLD = (".copier-answers.yml", *REMOVED)


def edit(
    project: Path,
    edits: dict[str, list[tuple[str, str]]],
    written: dict[str, str],
    removed: tuple[str, ...],
) -> None:
    """Make a project one's own, and commit it."""
    for name, changes in edits.items():
        text = (project / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{name} does not have once: {old}"
            text = text.replace(old, new)
        (project / name).write_text(text, encoding="utf-8")
    for name, end in ENDS.items():
        with (project / name).open("a", encoding="utf-8") as file:
            file.write(end)
    for name, text in written.items():
        (project / name).write_text(text, encoding="utf-8")
    for name in removed:
        if (project / name).is_dir():
            shutil.rmtree(project / name)
        else:
            (project / name).unlink()
    save(project)


def changes(old: Files, new: Files) -> dict[str, list[str]]:
    """Say by file which lines one has to take out of ``old`` and to put in to have ``new``."""
    found = {}
    for name in old.keys() | new.keys():
        before, after = (
            side[name][1].decode().splitlines() if name in side else [] for side in (old, new)
        )
        lines = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        found[name] = lines
    return {name: lines for name, lines in found.items() if lines and name not in UNTOLD}


CASES = [
    *(pytest.param(tag, {}, CHANGES, WRITTEN, REMOVED, id=tag) for tag in RELEASES),
    *(
        pytest.param(
            tag, COMMAND, COMMAND_CHANGES, COMMAND_WRITTEN, COMMAND_REMOVED, id=f"{tag}-cli"
        )
        for tag in ("v0.4.0", list(RELEASES)[-1])
    ),
]


@pytest.mark.parametrize(("tag", "answers", "edits", "written", "removed"), CASES)
def test_an_edited_project_keeps_all_that_is_its_own(
    skeleton: Path,
    begin: Begin,
    tag: str,
    answers: dict[str, object],
    edits: dict[str, list[tuple[str, str]]],
    written: dict[str, str],
    removed: tuple[str, ...],
) -> None:
    project = begin(tag, **answers)
    given = content(project)
    edit(project, edits, written, removed)
    edited = content(project)
    update(project)
    after = content(project)

    assert not conflicts(Git(project))
    assert not list(project.rglob("*.rej"))
    assert once(after) == once(edited)
    # What differs from a fresh copy is what was edited, line by line.
    assert changes(merged(fresh(project, skeleton)), merged(after)) == changes(
        merged(given), merged(edited)
    )
    assert not [name for name in removed if (project / name).exists()]
    assert "parcels" in tomllib.loads((project / "tox.toml").read_text())["env"]
    assert list(tomllib.loads((project / "delivery.toml").read_text())["stages"])[-1] == "parcels"


def test_a_secret_in_the_workflow_of_one_job_ends_in_a_conflict_that_is_named(begin: Begin) -> None:
    # That job is a job for each stage now: who of them the secret is for, nobody can tell.
    project, name = begin("v0.5.0"), ".github/workflows/delivery.yml"
    old = (project / name).read_text(encoding="utf-8")
    via = "          DELIVERY_VIA: github\n"
    assert old.count(via) == 1
    ours = "          PARCEL_TOKEN: ${{ secrets.PARCEL_TOKEN }}\n"
    (project / name).write_text(old.replace(via, via + ours), encoding="utf-8")
    save(project)
    update(project)
    assert conflicts(Git(project)) == {name: "look for <<<<<<< (1 place)"}
    assert ours in (project / name).read_text(encoding="utf-8")


def test_a_secret_that_a_stage_names_and_a_job_of_their_own_stay(begin: Begin) -> None:
    project, name = begin("v0.6.0"), ".github/workflows/delivery.yml"
    table = "[stages.production]\n"
    change(project, "delivery.toml", table, f'{table}secrets = ["PARCEL_TOKEN"]\n')
    ci(project, "--write")
    job = "  weigh:\n    runs-on: ubuntu-latest\n    steps: [{run: date}]\n"
    with (project / name).open("a", encoding="utf-8") as file:
        file.write(job)
    save(project)
    update(project)
    assert not conflicts(Git(project))
    text = (project / name).read_text(encoding="utf-8")
    assert "          PARCEL_TOKEN: ${{ secrets.PARCEL_TOKEN }}\n" in text
    assert text.endswith(job)
    ci(project)


def ci(project: Path, *options: str) -> None:
    """Have a project's CI files compared with its delivery.toml, or written."""
    subprocess.run([sys.executable, "-m", "delivery", "ci", *options], cwd=project, check=True)
