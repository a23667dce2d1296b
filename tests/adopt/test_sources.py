"""What the project's files say is read from all three of them, and nothing of it is run."""

from __future__ import annotations

import pytest

from hooks.adoption.repository import Refused
from tests.adopt.conftest import Project, found
from tests.adopt.files import PACKAGE, Files, cfg, pyproject, setup
from tests.adopt.pypackage import PYPACKAGE
from tests.cookiecutter.conftest import git

MIT = "Permission is hereby granted, free of charge, to any person"


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
