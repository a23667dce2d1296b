"""Cookiecutter gives what Copier gives, to the byte, and `copier update` goes on from there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hooks.cookiecutter_json import cookiecutter_json
from tests.cookiecutter.conftest import Door, Files, copied, files, git, made
from tests.render.test_hostile import HOSTILE

LINES = [" ".join(HOSTILE[:8]), " ".join(text for text in HOSTILE[8:] if len(text) < 300)]


def test_the_questions_are_copiers(root: Path) -> None:
    written = (root / "cookiecutter.json").read_text(encoding="utf-8")
    copier_yml = (root / "copier.yml").read_text(encoding="utf-8")
    assert written == cookiecutter_json(copier_yml), "run: python hooks/cookiecutter_json.py"


def test_nothing_answered(door: Door, skeleton: Path, default: Files, tmp_path: Path) -> None:
    done = door(skeleton)
    project = tmp_path / "hello-delivery"
    assert made(done, project) == default
    noted = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert (noted["_src_path"], noted["_commit"]) == (str(skeleton), "v0.2.0")
    assert f"cd {project}" in done.stderr


def test_other_answers_and_a_relative_path(door: Door, skeleton: Path, tmp_path: Path) -> None:
    answers = {
        "project_name": "Parcel_Office 2",
        "description": LINES[0],
        "author_name": LINES[1],
        "author_email": "grace@example.org",
        "license": "Proprietary",
        "kind": "service",
    }
    # What is not asked has a name that Cookiecutter does not ask for, either.
    unasked = {"python_floor": "3.13", "import_name": "acme.parcels"}
    pairs = [f"{name}={answer}" for name, answer in answers.items()]
    pairs += [f"_{name}={answer}" for name, answer in unasked.items()]
    pairs += ["ci=,", "_environments=acceptance,staging"]
    done = door("./skeleton.git", "--output-dir", tmp_path, *pairs, cwd=skeleton.parent)
    lists = {"ci": [], "environments": ["acceptance", "staging"]}
    assert made(done, tmp_path / "parcel-office-2") == copied(
        skeleton, tmp_path / "copier", **answers, **unasked, **lists
    )


@pytest.mark.parametrize(
    "answers",
    [
        {"kind": "library", "linter": "ruff", "_import_name": "acme.parcels"},
        {"kind": "cli", "_command_name": "parcel"},
        {"kind": "service", "framework": "django", "_forms": ["oci", "deb"]},
        {"kind": "service", "ci": ["github", "gitlab", "jenkins", "buildbot"]},
    ],
    ids=["library", "cli", "django", "ci"],
)
def test_every_kind(
    door: Door, skeleton: Path, tmp_path: Path, answers: dict[str, str | list[str]]
) -> None:
    pairs = [
        f"{name}={','.join(told) if isinstance(told, list) else told}"
        for name, told in answers.items()
    ]
    done = door(skeleton, "--output-dir", tmp_path, *pairs)
    told = {name.removeprefix("_"): answer for name, answer in answers.items()}
    assert made(done, tmp_path / "hello-delivery") == copied(skeleton, tmp_path / "copier", **told)


def test_hostile_text_typed(door: Door, skeleton: Path, tmp_path: Path) -> None:
    texts = ["Parcel Office", "office", "1", "1", LINES[1], LINES[0]]
    typed = [*texts, "", "https://git.example.org/a/b", "2", "", "github"]
    done = door(skeleton, typed="".join(f"{line}\n" for line in typed))
    assert made(done, tmp_path / "office") == copied(
        skeleton,
        tmp_path / "copier",
        project_name="Parcel Office",
        description=LINES[1],
        author_name=LINES[0],
        license="BSD-3-Clause",
        repository_url="https://git.example.org/a/b",
    )


def test_an_update_of_a_project_from_an_address(
    door: Door, skeleton: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    project = tmp_path / "hello-delivery"
    made(door(skeleton.as_uri(), "--checkout", "v0.1.0"), project)
    noted = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert (noted["_src_path"], noted["_commit"]) == (skeleton.as_uri(), "v0.1.0")
    assert not (project / ".flake8").read_text().startswith("# Newer.")
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "Start")

    update = [sys.executable, "-m", "copier", "update", "--defaults"]
    done = subprocess.run(
        update, cwd=project, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    shutil.rmtree(project / ".git")
    assert files(project) == copied(skeleton.as_uri(), tmp_path / "copier")
