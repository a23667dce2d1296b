"""Answers are what the project says, wherever it says it; and nothing of it is run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hooks.adoption import answers
from hooks.adoption.repository import Refused
from tests.adopt.conftest import Begin, Project, found
from tests.adopt.files import Files
from tests.adopt.pypackage import PYPACKAGE
from tests.adopt.shapes import BARE
from tests.cookiecutter.conftest import git

PACKAGE: Files = {"tides/__init__.py": ""}
MIT = "Permission is hereby granted, free of charge, to any person"


def setup(arguments: str, before: str = "") -> Files:
    """Return a project whose setup.py calls setup with these arguments."""
    text = f"from setuptools import setup\n{before}\nsetup(name='tides', {arguments})\n"
    return {**PACKAGE, "setup.py": text}


def cfg(text: str) -> Files:
    """Return a project with a setup.cfg."""
    return {**PACKAGE, "setup.cfg": f"[metadata]\nname = tides\n{text}"}


def pyproject(text: str) -> Files:
    """Return a project with a pyproject.toml."""
    return {**PACKAGE, "pyproject.toml": f'[project]\nname = "tides"\n{text}'}


@pytest.mark.parametrize(
    "files",
    [
        setup(
            "description='Sea.', author='Grace', author_email='g@x.org', python_requires='>=3.12'"
        ),
        cfg(
            "description = Sea.\nauthor = Grace\nauthor-email = g@x.org\n"
            "[options]\npython_requires = >=3.12\n"
        ),
        pyproject(
            'description = "Sea."\nauthors = [{ name = "Grace", email = "g@x.org" }]\n'
            'requires-python = ">=3.12"\n'
        ),
    ],
    ids=["setup.py", "setup.cfg", "pyproject.toml"],
)
def test_each_of_the_three_files_is_read(project: Project, files: Files) -> None:
    told, _ = found(project(files))
    assert told["distribution_name"] == told["project_name"] == told["import_name"] == "tides"
    assert (told["description"], told["author_name"]) == ("Sea.", "Grace")
    assert (told["author_email"], told["python_floor"]) == ("g@x.org", "3.12")


def test_the_shapes_that_walk_say_all_there_is(project: Project) -> None:
    told, _ = found(project(PYPACKAGE))
    assert told == {
        "project_name": "parcel-ledger",
        "distribution_name": "parcel-ledger",
        "import_name": "parcel_ledger",
        "kind": "cli",
        "command_name": "parcel_ledger",
        "description": "Python Boilerplate contains all the boilerplate you need.",
        "author_name": "Audrey Example",
        "author_email": "audrey@example.com",
        "repository_url": "https://github.com/audrey/parcel_ledger",
        "license": "MIT",
        "python_floor": "3.11",
        "linter": "flake8",
        "ci": ["github"],
    }


def test_pyproject_overrules_setup_cfg_and_that_setup_py(project: Project) -> None:
    files = setup("description='1', author='1', license='Apache 2.0'")
    files |= cfg("description = 2\nauthor = 2\n") | pyproject('description = "3"\n')
    told, _ = found(project(files))
    assert (told["description"], told["author_name"]) == ("3", "2")
    assert told["license"] == "Apache-2.0"


def test_setup_py_is_never_run(project: Project) -> None:
    folder = project(
        setup("description=open('/dev/null').read()", "open('ran', 'w').close(); 1 / 0")
    )
    _, notes = found(folder)
    assert not (folder / "ran").exists()
    assert any("setup.py, line 3: `description` is computed" in note for note in notes)


@pytest.mark.parametrize(
    ("before", "value"),
    [
        ("WORDS = 'Sea.'", "WORDS"),
        ("A = 'Se'\nB = A + 'a.'", "B"),
        ("about = dict(description='Sea.')", "**about"),
        ("about = {'description': 'Sea.'}", "**about"),
    ],
)
def test_names_and_sums_in_setup_py_are_read(project: Project, before: str, value: str) -> None:
    argument = value if value.startswith("**") else f"description={value}"
    told, _ = found(project(setup(argument, before)))
    assert told["description"] == "Sea."


@pytest.mark.parametrize(
    "before",
    [
        "WORDS = 'a'\nWORDS = 'b'",
        "WORDS = WORDS + 'a'",
        "for WORDS in 'ab': pass",
        "W0 = ['x'] * 2\n"
        + "\n".join(f"W{n + 1} = [W{n}, W{n}]" for n in range(60))
        + "\nWORDS = W60",
        "W0 = 'x'\n" + "\n".join(f"W{n + 1} = W{n} + W{n}" for n in range(60)) + "\nWORDS = W60",
        "WORDS = []\nWORDS.append('a')",
    ],
    ids=["twice", "itself", "loop", "a bomb of lists", "a bomb of strings", "appended"],
)
def test_what_setup_py_computes_is_named_and_not_guessed(project: Project, before: str) -> None:
    told, notes = found(project(setup("description=WORDS", before)))
    assert told["description"] == "What it is for is not said yet."
    assert any("`description` is" in note for note in notes)


@pytest.mark.parametrize(
    "text",
    ["setup(", "x = 1\n", "\0", f"setup(name={'(' * 3000}1{')' * 3000})", "setup(**{1: 2})"],
    ids=["syntax", "no setup", "null", "deep", "odd"],
)
def test_a_setup_py_that_says_nothing_is_named(project: Project, text: str) -> None:
    told, notes = found(project({**PACKAGE, "setup.py": text}))
    assert told["distribution_name"] == "theirs"
    assert any(note.startswith("setup.py") for note in notes)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({**PACKAGE, "pyproject.toml": "["}, "pyproject.toml is no TOML"),
        ({**PACKAGE, "pyproject.toml": "project = 3"}, "project is no table"),
        ({**PACKAGE, "pyproject.toml": '[tool.poetry]\nname = "x"\n'}, "only Poetry reads"),
        ({**PACKAGE, "setup.cfg": "name\n"}, "setup.cfg cannot be read"),
        ({**PACKAGE, "setup.cfg": "[metadata]\nname = \udcff"}, "setup.cfg is not UTF-8"),
        ({"README.md": "Words.\n"}, "no Python package"),
        ({"a/__init__.py": "", "b/__init__.py": ""}, "which is the project's package: a, b"),
        ({"Tides/__init__.py": ""}, "its package is 'Tides'"),
        (setup("").copy() | {"setup.py": "setup(name='Öl')"}, "calls it 'Öl'"),
        (setup("").copy() | {"setup.py": f"setup(name='{'x' * 41}')"}, "at most 40"),
    ],
)
def test_what_cannot_join_is_refused_with_a_sentence(
    project: Project, files: Files, words: str
) -> None:
    folder = project({name: text for name, text in files.items() if "\udcff" not in text})
    for name, text in files.items():
        if "\udcff" in text:
            (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "--message", "Bytes")
    with pytest.raises(Refused) as refused:
        found(folder)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("files", "name", "path"),
    [
        ({"src/tides/__init__.py": "", "src/tides/x/__init__.py": ""}, "tides", "src/tides"),
        ({"src/acme/tides/__init__.py": ""}, "acme.tides", "src/acme/tides"),
        (
            {"tides/__init__.py": "", "tests/__init__.py": "", "docs/x/__init__.py": ""},
            "tides",
            "tides",
        ),
        ({"tides/__init__.py": "", "other/__init__.py": ""}, "tides", "tides"),
        ({"acme/tides/__init__.py": ""}, "acme.tides", "acme/tides"),
        ({"tides.py": "", "setup.py": "", "conftest.py": ""}, "tides", "tides.py"),
        ({"src/tides.py": ""}, "tides", "src/tides.py"),
    ],
)
def test_the_package_is_found(project: Project, files: Files, name: str, path: str) -> None:
    from hooks.adoption.repository import Repository

    package = answers.package(Repository.at(project(files)), "tides")
    assert (package.name, str(package.path)) == (name, path)


@pytest.mark.parametrize(
    ("told", "license"),
    [
        ("MIT", "MIT"),
        ("MIT license", "MIT"),
        ("BSD-3-Clause", "BSD-3-Clause"),
        ("Apache License 2.0", "Apache-2.0"),
        ("Apache Software License", "Apache-2.0"),
        ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
        ("GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
        ("GPL-3.0-or-later", "GPL-3.0-or-later"),
        ("GPL-3.0-only", "Proprietary"),
        ("BSD-2-Clause", "Proprietary"),
        ("ISC", "Proprietary"),
        ("", "Proprietary"),
    ],
)
def test_a_licence_is_one_of_the_template_or_nothing_is_claimed(
    project: Project, told: str, license: str
) -> None:
    found_, notes = found(project(setup(f"license={told!r}")))
    assert found_["license"] == license
    assert any(note.startswith("license: ") for note in notes) is (license == "Proprietary")


@pytest.mark.parametrize(
    ("text", "license"),
    [
        (MIT, "MIT"),
        ("                Apache License\n          Version 2.0, January 2004", "Apache-2.0"),
        ("Mozilla Public License Version 2.0\n====", "MPL-2.0"),
        ("3. Neither the name of the holder", "BSD-3-Clause"),
        ("Permission to use, copy, modify, and/or distribute", "Proprietary"),
    ],
)
def test_a_licence_nobody_names_is_known_by_its_text(
    project: Project, text: str, license: str
) -> None:
    assert found(project({**PACKAGE, "LICENSE.txt": text}))[0]["license"] == license


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("git@github.com:acme/tides.git", "https://github.com/acme/tides"),
        ("https://ada:s3cret@github.com/acme/tides.git", "https://github.com/acme/tides"),
        ("ssh://git@example.org:2222/acme/tides.git", "https://example.org/acme/tides"),
        ("https://example.org:8443/acme/tides", "https://example.org:8443/acme/tides"),
        ("/srv/git/tides.git", ""),
        ("file:///srv/tides.git", ""),
        ("https://[::1/x", ""),
        ("https://example.org/a b", ""),
    ],
)
def test_a_remote_becomes_an_address_without_its_secrets(
    project: Project, remote: str, url: str
) -> None:
    folder = project(PACKAGE)
    git(folder, "remote", "add", "origin", remote)
    told, notes = found(folder)
    assert told["repository_url"] == url
    assert "s3cret" not in f"{told}{notes}"
    assert told["ci"] == (["github"] if "github" in url else [])


@pytest.mark.parametrize(
    ("files", "kind", "more"),
    [
        (setup("install_requires=['numpy']"), "library", {}),
        (
            setup("entry_points={'console_scripts': ['tide=tides:m']}"),
            "cli",
            {"command_name": "tide"},
        ),
        (setup("entry_points='[console_scripts]\\ntide=tides:m'"), "cli", {"command_name": "tide"}),
        (
            cfg(
                "[options.entry_points]\nconsole_scripts =\n    x = tides:m\n    tides = tides:m\n"
            ),
            "cli",
            {"command_name": "tides"},
        ),
        (pyproject('dependencies = ["Flask>=3"]\n'), "service", {"framework": "flask"}),
        (pyproject('dependencies = ["fastapi[standard]"]\n'), "service", {"framework": "fastapi"}),
        (pyproject('dependencies = ["django-stubs"]\n'), "library", {}),
    ],
)
def test_the_kind_is_what_it_offers(
    project: Project, files: Files, kind: str, more: dict[str, str]
) -> None:
    told, _ = found(project(files))
    assert told["kind"] == kind
    assert {name: told.get(name) for name in more} == more


@pytest.mark.parametrize(
    ("files", "linter"),
    [
        (PACKAGE, "flake8"),
        (pyproject("[tool.ruff]\nline-length = 90\n"), "ruff"),
        ({**PACKAGE, "ruff.toml": ""}, "ruff"),
        ({**PACKAGE, ".pre-commit-config.yaml": "- repo: x/ruff-pre-commit\n"}, "ruff"),
    ],
)
def test_the_linter_is_the_one_it_has(project: Project, files: Files, linter: str) -> None:
    assert found(project(files))[0]["linter"] == linter


@pytest.mark.parametrize(
    ("told", "floor"),
    [
        (">=3.6", "3.11"),
        (">=3.11,<4", "3.11"),
        ("~=3.12", "3.12"),
        (">=3.14", "3.13"),
        ("", "3.11"),
    ],
)
def test_the_oldest_python_is_one_the_template_has(project: Project, told: str, floor: str) -> None:
    assert found(project(setup(f"python_requires={told!r}")))[0]["python_floor"] == floor


def test_what_says_nothing_right_is_named(project: Project) -> None:
    words = f"a\\n  b\\x85{'c' * 500}"
    files = setup(f"author_email='nobody', description='{words}', keywords=3")
    told, notes = found(project(files))
    assert told["author_email"] == ""
    assert str(told["description"]).startswith("a   b cccc")
    assert len(str(told["description"])) == 400
    assert {note.split(":")[0] for note in notes} >= {"author_email", "description", "setup.py"}


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
