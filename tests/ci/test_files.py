"""What Copier emits and what ``delivery ci --write`` renders are the same, to the byte."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from delivery.ci import files
from delivery.config import load
from delivery.errors import UsageError

from tests.ci.emit import OWNERS, SHAPES, emitted
from tests.render.conftest import Render

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS: list[str] = list(
    yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))["ci"]["choices"].values()
)
SETS = [
    [*some] for size in range(len(SYSTEMS) + 1) for some in itertools.combinations(SYSTEMS, size)
]

BUILDBOT = ROOT / "template" / "{% if 'buildbot' in ci %}buildbot{% endif %}"
# What is not rendered: it reads delivery.toml itself, or says nothing of stages.
STATIC = {
    "github": {".github/workflows/template.yml"},
    "jenkins": {"jenkins/job.yml"},
    "buildbot": {
        path.relative_to(BUILDBOT.parent).as_posix().replace(BUILDBOT.name, "buildbot", 1)
        for path in BUILDBOT.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    },
}

# The files that name the stages, and a line that is new in each where docs comes after integration.
RENDERED = {
    ".github/workflows/delivery.yml": r"^\+    needs: \[integration\]$",
    ".gitlab-ci.yml": r"^\+  needs: \[build, integration\]$",
    "Jenkinsfile": r"^\+ +stage\('lint, unit, build, security'\)",
}


def test_the_template_has_what_is_rendered() -> None:
    for name, text in emitted().items():
        assert (ROOT / "template" / name).read_text(encoding="utf-8") == text, "tox run -e emit"


@pytest.mark.parametrize("floor", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("answers", [*SHAPES.values(), {"kind": "cli"}], ids=str)
def test_a_project_has_what_it_would_write(
    slim: Render, answers: dict[str, Any], floor: str
) -> None:
    project = slim(**answers, python_floor=floor, ci=SYSTEMS)
    wanted = files.rendered(load(project))
    static = set().union(*STATIC.values())
    assert {OWNERS[path.partition("/")[0]] for path in static | wanted.keys()} == set(SYSTEMS)
    for path, text in wanted.items():
        assert (project / path).read_text(encoding="utf-8") == text
    places = [path for first in OWNERS for path in [project / first, *(project / first).rglob("*")]]
    there = {path.relative_to(project).as_posix() for path in places if path.is_file()}
    assert there == wanted.keys() | static


@pytest.mark.parametrize("chosen", SETS, ids="+".join)
def test_each_choice_brings_only_its_own_files(slim: Render, chosen: list[str]) -> None:
    project = slim(ci=chosen)
    wanted = {path for path in files.rendered(load(project)) if OWNERS[_first(path)] in chosen}
    there = {path.name for path in project.iterdir()} & OWNERS.keys()
    static = set().union(*(STATIC.get(name, set()) for name in chosen))
    assert there == {_first(path) for path in static | wanted}
    modules = {path.stem for path in (project / "delivery" / "ci").glob("*.py")}
    assert modules & set(files.SYSTEMS) == set(chosen)
    assert (project / "delivery" / "ci").exists() is bool(chosen)


def _first(path: str) -> str:
    return path.partition("/")[0]


@pytest.mark.parametrize("change", ["add", "drop", "move"])
def test_another_stage_table_is_told_with_the_lines_to_change(slim: Render, change: str) -> None:
    project = slim(ci=SYSTEMS)
    table = project / "delivery.toml"
    text = table.read_text(encoding="utf-8")
    if change == "add":
        _add_stage(project)
    elif change == "drop":
        text = re.sub(r"\[stages\.docs\][^[]+", "", text).replace(' "docs",', "")
        table.write_text(text, encoding="utf-8")
    else:
        text = text.replace("[stages.docs]", '[stages.docs]\nneeds = ["integration"]')
        table.write_text(text, encoding="utf-8")
    told = "\n".join(files.differences(load(project)))
    for path, moved in RENDERED.items():
        wanted = {
            "add": r"^\+.*delivery.*run licences",
            "drop": r"^-.*delivery.*run docs",
            "move": moved,
        }
        _, _, lines = told.partition(f"--- {path}\n")
        lines, _, _ = lines.partition("\n--- ")
        assert re.search(wanted[change], lines, re.MULTILINE), told
    files.write(load(project))
    assert files.differences(load(project)) == []


def test_what_stands_outside_of_the_marks_stays(slim: Render) -> None:
    project = slim(ci=SYSTEMS)
    place = project / ".github" / "workflows" / "delivery.yml"
    first, last = "# ours, above\n", "  ours:\n    runs-on: ubuntu-latest\n"
    place.write_text(first + place.read_text(encoding="utf-8") + last, encoding="utf-8")
    assert files.differences(load(project)) == []
    _add_stage(project)
    assert ".github/workflows/delivery.yml" in files.write(load(project))
    text = place.read_text(encoding="utf-8")
    assert text.startswith(first) and text.endswith(last)
    assert "run licences" in text


def test_a_file_without_its_marks_is_not_touched(slim: Render) -> None:
    project = slim(ci=SYSTEMS)
    place = project / ".github" / "workflows" / "delivery.yml"
    place.write_text("name: ours\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has not the two lines"):
        files.write(load(project))
    assert place.read_text(encoding="utf-8") == "name: ours\n"


def _add_stage(project: Path) -> None:
    table = project / "delivery.toml"
    text = table.read_text(encoding="utf-8")
    table.write_text(text + "\n[stages.licences]\nbudget = 5\n", encoding="utf-8")
