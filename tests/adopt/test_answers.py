"""Answers are what the project says, wherever it says it."""

from __future__ import annotations

import pytest

from hooks.adoption import answers
from tests.adopt.conftest import Project, found
from tests.adopt.files import PACKAGE, Files, cfg, pyproject, setup
from tests.cookiecutter.conftest import git
from tests.render.test_hostile import BAD_EMAILS

MIT = "Permission is hereby granted, free of charge, to any person"


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
        ("git@gitlab.acme.example:acme/tides.git", "https://gitlab.acme.example/acme/tides"),
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
    assert told["ci"] == [system for system in ("github", "gitlab") if system in url]


def test_the_ci_systems_are_those_it_has_files_for(project: Project) -> None:
    there = {"Jenkinsfile": "", ".gitlab-ci.yml": "", ".travis.yml": "", "docs/.github": ""}
    folder = project({**PACKAGE, **there})
    git(folder, "remote", "add", "origin", "https://github.com/acme/tides.git")
    assert found(folder)[0]["ci"] == ["gitlab", "jenkins"]


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
        ("==3.12.*", "3.12"),
        ("", "3.11"),
    ],
)
def test_the_oldest_python_is_one_the_template_has(project: Project, told: str, floor: str) -> None:
    assert found(project(setup(f"python_requires={told!r}")))[0]["python_floor"] == floor


@pytest.mark.parametrize("email", [*BAD_EMAILS, "ada@example.org", f"{'a' * 250}@example.org"])
def test_an_address_is_taken_when_the_question_takes_it(project: Project, email: str) -> None:
    told, notes = found(project(setup(f"author_email={email!r}")))
    good = email.strip() in ("ada@example.org", "a@b.org")
    assert told["author_email"] == (email.strip() if good else "")
    assert good or any(note.startswith("author_email:") for note in notes)


@pytest.mark.parametrize(
    "url",
    [
        *("https://github.com/acme/..", "https://a/./b", "https://-x.org/a", "https://a-.org/x"),
        *("https://x.org:99999/a", f"https://a.b/{'c' * 200}"),
    ],
)
def test_a_web_address_that_the_question_refuses_is_left_out(project: Project, url: str) -> None:
    assert found(project(setup(f"project_urls={{'Source': {url!r}}}")))[0]["repository_url"] == ""


def test_what_says_nothing_right_is_named(project: Project) -> None:
    words = f"a\\n  b\\x85{'c' * 500}"
    files = setup(f"author_email='nobody', description='{words}', keywords=3")
    told, notes = found(project(files))
    assert told["author_email"] == ""
    assert str(told["description"]).startswith("a   b cccc")
    assert len(str(told["description"])) == 400
    assert {note.split(":")[0] for note in notes} >= {"author_email", "description", "setup.py"}
