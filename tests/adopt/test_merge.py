"""What both have is brought together in git's sight; nothing of the project is lost on the way."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hooks.adoption import pyproject, sources
from hooks.adoption.repository import Repository
from tests.adopt.conftest import Begin, Joining, Project, join, printed
from tests.adopt.pypackage import PYPACKAGE
from tests.cookiecutter.conftest import copied, git

LEFT = "Left to you, after `git diff --staged`:"
MERGE = "python3 ../skeleton/hooks/adopt.py merge"

HATCHLING = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "Acme.Tides"
version = "2.1"
description = "When the water is high."
readme = "README.rst"
license = { text = "ISC" }
authors = [{ name = "Grace Hopper" }, { name = "Ada Lovelace", email = "ada@example.org" }]
requires-python = ">=3.12"
classifiers = ["License :: OSI Approved :: ISC License (ISCL)", "Topic :: Scientific/Engineering"]
dependencies = ["attrs>=23 ; python_version < '4'"]

[project.urls]
Source = "https://git.example.org/acme/tides"

[project.optional-dependencies]
plot = ["matplotlib>=3.8"]

[project.entry-points."acme.plugins"]
tides = "acme.tides:plugin"

[dependency-groups]
test = ["pytest>=8", "pytest-mock"]
notebooks = ["jupyterlab"]

[tool.hatch.version] # Not ours any more.
source = "vcs"

[tool.ruff]
line-length = 88

[tool.towncrier]
# How news are written.
directory = "news" # in a folder

[[tool.towncrier.type]]
name = "Tides"
showcontent = true
"""


@pytest.fixture(scope="module")
def pypackage(begin: Begin) -> Joining:
    """A project in the style of cookiecutter-pypackage, joined."""
    return join(begin(PYPACKAGE))


@pytest.fixture(scope="module")
def hatchling(begin: Begin) -> Joining:
    """A project with a pyproject.toml of another backend, in a namespace, joined."""
    files = {"pyproject.toml": HATCHLING, "README.rst": "Tides\n", "LICENCE": "ISC\n"}
    return join(begin({**files, "src/acme/tides/__init__.py": "plugin = 1\n"}))


def config(joining: Joining) -> dict[str, Any]:
    """Read the project's pyproject.toml."""
    return tomllib.loads((joining.root / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_metadata_of_another_backend_are_carried_over(hatchling: Joining) -> None:
    project = config(hatchling)["project"]
    told = tomllib.loads(HATCHLING)["project"]
    same = ("authors", "dependencies", "optional-dependencies", "entry-points", "readme")
    assert {name: project[name] for name in same} == {name: told[name] for name in same}
    assert project["license"] == "ISC"
    assert project["license-files"] == ["LICENCE"]
    assert project["urls"]["Source"] == "https://git.example.org/acme/tides"
    assert project["classifiers"] == ["Topic :: Scientific/Engineering"]
    assert project["dynamic"] == ["version"]
    assert "version" not in project


def test_tables_of_other_tools_are_kept_word_for_word(hatchling: Joining) -> None:
    text = (hatchling.root / "pyproject.toml").read_text()
    assert HATCHLING[HATCHLING.index("[tool.towncrier]") :] in text
    assert config(hatchling)["tool"]["ruff"]["line-length"] == 100
    assert "[tool.ruff]: the template's is there" in hatchling.said[MERGE].err


def test_the_groups_are_united(hatchling: Joining) -> None:
    groups = config(hatchling)["dependency-groups"]
    assert groups["test"] == ["pytest", "pytest-cov", "pytest-mock"]
    assert groups["notebooks"] == ["jupyterlab"]
    assert "build" in groups


def test_code_that_is_not_typed_is_left_to_be_typed(hatchling: Joining) -> None:
    override = config(hatchling)["tool"]["mypy"]["overrides"][-1]
    assert override["module"] == ["acme.tides", "acme.tides.*", "tests.unit.*"]
    assert override["ignore_errors"] is True


def test_a_version_that_no_tag_says_becomes_one(hatchling: Joining) -> None:
    assert "git tag 2.1" in printed(hatchling.said[MERGE].err, LEFT)


def test_all_of_it_is_staged_to_be_seen(hatchling: Joining) -> None:
    status = git(hatchling.root, "status", "--porcelain").splitlines()
    assert status
    assert all(line[:2] in ("A ", "M ") for line in status)
    assert git(hatchling.root, "diff", "--staged", "--name-only", "--diff-filter=D") == ""


def test_a_second_merge_is_refused(hatchling: Joining) -> None:
    said = hatchling.run(MERGE, 2).err
    assert "this was merged before" in said
    assert "git reset --hard && git clean -fd" in said


def test_giving_up_leaves_what_was(begin: Begin) -> None:
    theirs = join(begin(PYPACKAGE))
    theirs.run("git reset --hard && git clean -fd")
    found = [path for path in theirs.root.rglob("*") if path.is_file()]
    inside = {str(path.relative_to(theirs.root)) for path in found}
    assert {name for name in inside if not name.startswith(".git/")} == set(PYPACKAGE)


def test_nothing_of_theirs_is_changed_but_what_both_have(pypackage: Joining) -> None:
    changed = git(pypackage.root, "diff", "--name-only", "--diff-filter=MD", "HEAD").split()
    assert changed == [".gitignore"]
    ignored = (pypackage.root / ".gitignore").read_text().splitlines()
    assert {*PYPACKAGE[".gitignore"].splitlines(), ".delivery/"} <= {*ignored}


def test_the_example_of_the_template_stays_where_it_is(pypackage: Joining) -> None:
    added = git(pypackage.root, "diff", "--staged", "--name-only", "--diff-filter=A").splitlines()
    assert {name for name in added if name.startswith(("src/", "docs/", "tests/"))} == {
        "tests/acceptance/environment.py",
        "tests/acceptance/steps/command.py",
        "tests/integration/test_wheel.py",
    }
    assert not {"README.md", "LICENSE", "CHANGELOG.md"} & {*added}


def test_a_project_of_nothing_but_code_gets_the_rest(begin: Begin) -> None:
    theirs = join(begin({"tides/__init__.py": "HIGH = 1\n"}))
    assert {path.name for path in theirs.root.iterdir()} >= {"README.md", "LICENSE", "docs"}
    assert config(theirs)["project"]["license"] == "LicenseRef-Proprietary"


def test_a_file_that_both_have_is_a_conflict_that_git_knows(begin: Begin) -> None:
    flake8 = "[flake8]\nmax-line-length = 79\n"
    theirs = join(begin({"tides/__init__.py": "", ".flake8": flake8}), status=1)
    said = theirs.said[MERGE].err
    assert "In conflict, look for <<<<<<<:\n  .flake8" in said
    text = (theirs.root / ".flake8").read_text()
    assert "<<<<<<< yours\nmax-line-length = 79\n=======\nmax-line-length = 100\n" in text
    assert git(theirs.root, "ls-files", "--unmerged").count(".flake8") == 2
    assert "unmerged" in theirs.run("git commit --message Join", 128).err
    theirs.run("git checkout --ours .flake8 && git add .flake8 && git commit --message Join")
    assert (theirs.root / ".flake8").read_text() == flake8


def test_an_empty_file_is_in_nobodys_way(begin: Begin) -> None:
    theirs = join(begin({"tides/__init__.py": "", ".flake8": ""}))
    assert "max-line-length" in (theirs.root / ".flake8").read_text()


def test_what_their_gitignore_hides_is_there_all_the_same(begin: Begin) -> None:
    setup = "from setuptools import setup\nsetup(name='tides', install_requires=['flask'])\n"
    ignored = "*.cfg\nrequirements\n*.toml\n"
    theirs = join(begin({"tides/__init__.py": "", ".gitignore": ignored, "setup.py": setup}))
    staged = set(git(theirs.root, "ls-files").splitlines())
    assert staged >= {"delivery/ansible.cfg", "requirements/prod.txt", "tox.toml", "pyproject.toml"}


def test_the_commands_bring_files_to_where_they_belong(begin: Begin) -> None:
    files = {"tides.py": "HIGH = 1\n", "test/test_a b.py": "", "tests/unit/test_c.py": ""}
    theirs = join(begin({**files, "pytest.ini": "", "mypy.ini": "", "setup.py": "setup()"}))
    for command in printed(theirs.said[MERGE].err, LEFT):
        theirs.run(command)
    staged = set(git(theirs.root, "ls-files").splitlines())
    assert staged >= {"src/tides/__init__.py", "tests/unit/test_a b.py", "tests/unit/test_c.py"}
    assert not staged & {"tides.py", "pytest.ini", "mypy.ini", "setup.py"}


def test_a_setup_py_with_extension_modules_stays(begin: Begin) -> None:
    text = "from setuptools import setup\nsetup(name='tides', ext_modules=[Extension('t', [])])\n"
    theirs = join(begin({"tides/__init__.py": "", "setup.py": text}))
    assert "`ext_modules`: keep it" in theirs.said[MERGE].err
    assert printed(theirs.said[MERGE].err, LEFT) == ["mkdir -p src && git mv tides src/"]


def test_a_service_gets_what_serves_it_beside_its_own_code(begin: Begin) -> None:
    text = "from setuptools import setup\nsetup(name='tides', install_requires=['Flask>=3'])\n"
    theirs = join(begin({"tides/__init__.py": "A = 1\n", "tides/web.py": "", "setup.py": text}))
    for command in printed(theirs.said[MERGE].err, LEFT):
        theirs.run(command)
    package = {path.name for path in (theirs.root / "src/tides").iterdir()}
    assert package == {
        *("__init__.py", "web.py"),
        *("app.py", "ops.py", "py.typed", "release.py", "server.py", "settings.py"),
    }
    project = config(theirs)["project"]
    assert project["scripts"] == {"tides": "tides.server:main"}
    assert project["dependencies"][0] == "Flask>=3"
    assert any(need.startswith("gunicorn") for need in project["dependencies"])
    assert not [need for need in project["dependencies"] if need.startswith("flask")]


def test_a_merge_without_a_copy_is_refused(project: Project, root: Path) -> None:
    folder = project({"tides/__init__.py": ""})
    theirs = Joining(folder, folder.parent / "pycache", {})
    said = theirs.run(f"python3 {root}/hooks/adopt.py merge", 2).err
    assert "`copier copy` comes before" in said


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "keywords": st.lists(WORDS, min_size=1, max_size=3),
        "classifiers": st.lists(WORDS, min_size=1, max_size=3),
        "dependencies": st.lists(WORDS, min_size=1, max_size=5),
        "urls": st.dictionaries(WORDS, WORDS, min_size=1, max_size=3),
        "scripts": st.dictionaries(WORDS, WORDS, min_size=1, max_size=3),
        "gui-scripts": st.dictionaries(WORDS, WORDS, min_size=1, max_size=3),
        "entry-points": st.dictionaries(WORDS, st.dictionaries(WORDS, WORDS), max_size=2),
        "optional-dependencies": st.dictionaries(WORDS, st.lists(WORDS), min_size=1, max_size=3),
        "authors": st.lists(st.fixed_dictionaries({"name": WORDS}), min_size=2, max_size=3),
        "maintainers": st.lists(st.fixed_dictionaries({"name": WORDS}), min_size=1, max_size=2),
    },
)


@pytest.fixture(scope="module")
def rendered(skeleton: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The template's pyproject.toml of a cli, with everything that can be in it."""
    folder = tmp_path_factory.mktemp("rendered") / "project"
    url = "https://example.org/acme/tides"
    return copied(skeleton, folder, kind="cli", repository_url=url)["pyproject.toml"][1].decode()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(told=METADATA, tools=st.dictionaries(WORDS, st.dictionaries(WORDS, WORDS), max_size=2))
def test_whatever_the_metadata_hold_comes_through_unchanged(
    rendered: str, told: dict[str, Any], tools: dict[str, Any]
) -> None:
    said = sources.Said(tables={"tool": tools})
    said.take("pyproject.toml", told)
    files: dict[str, list[str]] = {"readme": [], "license-files": []}
    text, _ = pyproject.carried(rendered, "", said, files, ["tides"])
    found = tomllib.loads(text)
    for name, value in said.project.items():
        if name == "classifiers":
            value = [one for one in value if not one.startswith("License ::")]
        carried_over = found["project"].get(name, [])
        if isinstance(value, dict):
            assert value.items() <= carried_over.items()
        else:
            assert value == carried_over[: len(value)]
    assert {name: found["tool"][name] for name in tools} == tools


def test_the_repository_is_read_as_it_was_committed(project: Project) -> None:
    folder = project({"tides/__init__.py": "", "setup.cfg": "[metadata]\nname = tides\n"})
    (folder / "setup.cfg").write_text("[metadata]\nname = other\n")
    assert sources.read(Repository.at(folder)).project["name"] == "tides"
