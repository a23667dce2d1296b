"""Three real shapes join by the commands of the page, and walk through every stage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.adopt.conftest import ADDRESS, Begin, Joining, printed
from tests.adopt.shapes import SHAPES
from tests.cookiecutter.conftest import git

pytestmark = pytest.mark.slow

STAGES = ["lint", "unit", "build", "integration", "docs", "security", "publish", "acceptance"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_project_joins_and_walks(begin: Begin, steps: dict[str, list[str]], shape: str) -> None:
    theirs = begin(shape=shape)
    theirs.steps(*steps["Look"])
    look = theirs.said[steps["Look"][-1]]
    copy = printed(look.err, "Look at the answers; then:")
    theirs.steps(*copy, *steps["Merge"])
    room = printed(theirs.said[steps["Merge"][0]].err, "Left to you, after `git diff --staged`:")
    shown = len(room) if shape == "pyscaffold" else 2
    if shape == "pyscaffold":
        # What the page shows is what is printed for this very project.
        source = str(theirs.root.parent / "skeleton")
        assert [line.replace(source, ADDRESS) for line in copy] == steps["Copy"]
        assert room == steps["Make room"][:shown]
    theirs.steps(*room, *steps["Make room"][shown:], *steps["Lock and format"])
    SHAPES[shape].mend(theirs.root)
    *commit, walk = steps["Walk"]
    theirs.steps(*commit, walk)
    said = theirs.said[walk].out
    assert re.findall(r"^  (\S+) +passed ", said, re.MULTILINE) == STAGES, said
    assert git(theirs.root, "status", "--porcelain") == ""
    assert committed(theirs.root) >= {"delivery.toml", "tox.toml", "requirements/prod.txt"}
    update(theirs)


def committed(folder: Path) -> set[str]:
    """Return the names of the files in the last commit."""
    return set(git(folder, "ls-tree", "-r", "--name-only", "HEAD").splitlines())


def update(theirs: Joining) -> None:
    """The template moves, and the project with it: no conflict, and nothing of theirs is lost."""
    skeleton = theirs.root.parent / "skeleton"
    before = {name: (theirs.root / name).read_bytes() for name in committed(theirs.root)}
    for name, old, new in [
        ("template/{% if linter == 'flake8' %}.flake8{% endif %}", "[flake8]", "# New.\n[flake8]"),
        ("template/README.md.jinja", "# ", "# The new "),
        ("template/docs/conf.py", "furo", "alabaster"),
        ("template/pyproject.toml.jinja", '"pip-audit"]', '"pip-audit", "safety"]'),
        ("template/tox.toml.jinja", "# The stages", "# All stages"),
        ("template/.gitignore.jinja", "build/\n", "build/\nbuild-2/\n"),
    ]:
        text = (skeleton / name).read_text(encoding="utf-8")
        assert old in text, name
        (skeleton / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    git(skeleton, "commit", "--quiet", "--all", "--message", "Move on")
    git(skeleton, "tag", "v1.0.0")
    theirs.run("copier update --defaults --quiet")
    assert git(theirs.root, "ls-files", "--unmerged") == ""
    changed = set(git(theirs.root, "diff", "--name-only", "HEAD").splitlines())
    shared = {".copier-answers.yml", ".flake8", ".gitignore", "pyproject.toml", "tox.toml"}
    assert changed == shared
    assert git(theirs.root, "ls-files", "--others", "--exclude-standard") == ""
    for name in shared - {".copier-answers.yml"}:
        lines = (theirs.root / name).read_text().splitlines()
        lost = [line for line in before[name].decode().splitlines() if line not in lines]
        assert len(lost) <= 1, lost
