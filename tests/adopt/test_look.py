"""``adopt.py look``: the file of answers, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from copier._vcs import get_repo

from hooks import adopt
from hooks.adoption import answers
from tests.adopt.conftest import Begin, Project, found
from tests.adopt.files import PACKAGE
from tests.adopt.pypackage import PYPACKAGE
from tests.adopt.shapes import BARE
from tests.cookiecutter.conftest import git


def look(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `adopt.py look` in a folder."""
    script = Path(__file__).parents[2] / "hooks" / "adopt.py"
    command = [sys.executable, str(script), "look", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_of_answers_holds_them_unchanged(project: Project) -> None:
    folder = project(BARE)
    done = look(folder)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout) == found(folder)[0]
    assert git(folder, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    "text",
    ["a \"b\" \\ 'c'", "{{ x }} {% y %}", "# - : & * ! | > %", "Ünï – 💡 \ufeff", "a\u2028b"],
)
def test_hostile_words_reach_the_file_whole(text: str) -> None:
    noted = answers.data_file({"description": answers.Answer(text, "a\u2028- b: [")})
    assert yaml.safe_load(noted) == {"description": text}


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        ("https://github.com/acme/skeleton", "https://github.com/acme/skeleton"),
        ("git@example.org:acme/skeleton", "git@example.org:acme/skeleton"),
        ("https://codeberg.org/acme/skeleton", "git+https://codeberg.org/acme/skeleton"),
        ("ssh://git@example.org/acme/skeleton", "git+ssh://git@example.org/acme/skeleton"),
        ("/srv/skeleton", "/srv/skeleton"),
    ],
)
def test_copier_takes_the_address_that_it_is_told(origin: str, told: str) -> None:
    assert adopt.address(origin) == told
    assert (get_repo(told) is not None) == (told[0] != "/")


def test_a_dirty_tree_is_refused_and_named(project: Project) -> None:
    folder = project(PACKAGE)
    (folder / "new.txt").touch()
    done = look(folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("adopt: the work tree is dirty (new.txt)")


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    done = look(tmp_path)
    assert done.returncode == 2
    assert "is not the top of a git repository" in done.stderr
    assert "git init" in done.stderr


def test_a_folder_inside_a_repository_is_refused(project: Project) -> None:
    done = look(project(PACKAGE) / "tides")
    assert done.returncode == 2
    assert "its top is another folder" in done.stderr


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    done = look(tmp_path)
    assert done.returncode == 2
    assert "has no commit yet" in done.stderr


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = look(tmp_path / "nowhere")
    assert done.returncode == 2
    assert "is no folder" in done.stderr


def test_a_project_of_a_template_is_refused(project: Project) -> None:
    done = look(project({**PACKAGE, ".copier-answers.yml": "_src_path: x\n"}))
    assert done.returncode == 2
    assert "comes from a template already" in done.stderr


def test_look_changes_nothing(begin: Begin) -> None:
    theirs = begin(PYPACKAGE)
    before = json.dumps(sorted(str(path) for path in theirs.root.rglob("*")))
    theirs.run("python3 ../skeleton/hooks/adopt.py look")
    assert json.dumps(sorted(str(path) for path in theirs.root.rglob("*"))) == before
