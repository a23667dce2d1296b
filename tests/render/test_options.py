"""Every value that an answer may have."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.render import files
from tests.render.conftest import Render

LICENSES = {
    "MIT": ("MIT", "MIT License"),
    "BSD-3-Clause": ("BSD-3-Clause", "BSD 3-Clause License"),
    "Proprietary": ("LicenseRef-Proprietary", "All rights reserved."),
}
WORKFLOW = ".github/workflows/delivery.yml"


@pytest.fixture(scope="module")
def questions(root: Path) -> dict[str, Any]:
    """The questions, as they are written."""
    asked: dict[str, Any] = yaml.safe_load((root / "copier.yml").read_text(encoding="utf-8"))
    return {name: what for name, what in asked.items() if not name.startswith("_")}


def test_every_question_has_a_default_and_help(questions: dict[str, Any]) -> None:
    for name, question in questions.items():
        assert "default" in question, name
        if question.get("when", True):
            assert question["help"], name
            assert "validator" in question or "choices" in question, name


def test_nothing_needs_trust(root: Path) -> None:
    settings = yaml.safe_load((root / "copier.yml").read_text(encoding="utf-8"))
    assert not {"_tasks", "_migrations", "_jinja_extensions"} & settings.keys()


def test_the_keywords_are_those_of_python(questions: dict[str, Any]) -> None:
    assert questions["python_keywords"]["default"].split() == keyword.kwlist


def test_the_modules_are_those_of_python(questions: dict[str, Any]) -> None:
    public = {name.lower() for name in sys.stdlib_module_names if not name.startswith("_")}
    assert set(questions["python_modules"]["default"].split()) >= public


def test_the_taken_names_are_what_the_project_needs(
    questions: dict[str, Any], default: Path
) -> None:
    pins = "".join(path.read_text() for path in (default / "requirements").iterdir())
    needed = {name.replace("-", "_") for name in re.findall(r"^([a-z0-9-]+)==", pins, re.M)}
    sources = [path for path in default.rglob("*.py") if "delivery" not in path.parts]
    text = "\n".join(path.read_text() for path in sources)
    needed |= set(re.findall(r"^(?:from|import) ([a-z_]\w*)", text, re.M))
    others = {"hello_delivery", *questions["python_modules"]["default"].split()}
    assert needed - others <= set(questions["taken_names"]["default"].split())


@pytest.mark.parametrize("license", LICENSES)
def test_license(render: Render, questions: dict[str, Any], license: str) -> None:
    assert set(questions["license"]["choices"].values()) == set(LICENSES)
    project = render(license=license, author_name="Ada & Co")
    expression, words = LICENSES[license]
    text = (project / "LICENSE").read_text(encoding="utf-8")
    assert files.toml(project)["project"]["license"] == expression
    assert words in text
    assert "Copyright (c) Ada & Co" in text
    assert text == text.strip() + "\n"
    assert [words in text for _, words in LICENSES.values()].count(True) == 1


@pytest.mark.parametrize("floor", ["3.11", "3.12", "3.13"])
def test_python_floor(render: Render, questions: dict[str, Any], floor: str) -> None:
    assert floor in questions["python_floor"]["choices"]
    project = render(python_floor=floor)
    config = files.toml(project)
    assert config["project"]["requires-python"] == f">={floor}"
    assert config["tool"]["mypy"]["python_version"] == floor
    compiled = files.toml(project, "tox.toml")["env"]["lock"]["commands"]
    assert all(f"--python-version={floor}" in command for command in compiled)
    assert f'python-version: "{floor}"' in (project / WORKFLOW).read_text(encoding="utf-8")


@pytest.mark.parametrize("ci", [[], ["github"]])
def test_ci(render: Render, questions: dict[str, Any], ci: list[str]) -> None:
    assert set(questions["ci"]["choices"].values()) == {"github"}
    project = render(ci=ci)
    assert (project / WORKFLOW).exists() is ("github" in ci)
    assert (project / ".github").exists() is ("github" in ci)


@pytest.mark.parametrize(
    ("name", "distribution", "package"),
    [
        ("Hello Delivery", "hello-delivery", "hello_delivery"),
        ("X", "x", "x"),
        ("Web-2 shop_front", "web-2-shop-front", "web_2_shop_front"),
        ("N" + 39 * "a", "n" + 39 * "a", "n" + 39 * "a"),
    ],
)
def test_names(render: Render, name: str, distribution: str, package: str) -> None:
    project = render(project_name=name)
    config = files.toml(project)["project"]
    assert config["name"] == distribution
    assert config["scripts"] == {distribution: f"{package}.server:main"}
    assert (project / "src" / package / "app.py").exists()
    assert (project / "README.md").read_text(encoding="utf-8").startswith(f"# {name}\n")
    files.parse(project)
    # The formatter would break a longer line, and the project would begin red.
    sources = [path for path in project.rglob("*.py") if "delivery" not in path.parts]
    assert max(len(line) for path in sources for line in path.read_text().splitlines()) <= 100


def test_email(render: Render) -> None:
    with_email = render(author_email="ada.l+shop@mail.example.org")
    assert files.toml(with_email)["project"]["authors"] == [
        {"name": "The Hello Delivery team", "email": "ada.l+shop@mail.example.org"}
    ]
    without = files.toml(render(author_email=""))
    assert without["project"]["authors"] == [{"name": "The Hello Delivery team"}]
