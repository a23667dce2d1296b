"""Every value that an answer may have."""

from __future__ import annotations

import builtins
import hashlib
import keyword
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from delivery.artifact.fits import misfits

from tests.render import files
from tests.render.conftest import Render

LICENSES = {
    "MIT": ("MIT", "MIT License"),
    "BSD-3-Clause": ("BSD-3-Clause", "BSD 3-Clause License"),
    "Apache-2.0": ("Apache-2.0", "Apache License"),
    "MPL-2.0": ("MPL-2.0", "Mozilla Public License Version 2.0"),
    "GPL-3.0-or-later": ("GPL-3.0-or-later", "GNU GENERAL PUBLIC LICENSE"),
    "Proprietary": ("LicenseRef-Proprietary", "All rights reserved."),
}
# Of the texts that are as their authors publish them.
DIGESTS = {
    "Apache-2.0": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "MPL-2.0": "fab3dd6bdab226f1c08630b1dd917e11fcb4ec5e1e020e2c16f83a0a13863e85",
    "GPL-3.0-or-later": "3972dc9744f6499f0f9b2dbf76696f2ae7ad8af9b23dde66d6af86c9dfb36986",
}
BEGIN = ".github/actions/begin/action.yml"


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


@pytest.mark.parametrize("license", DIGESTS)
def test_the_texts_of_licences_are_the_published_ones(render: Render, license: str) -> None:
    text = render(license=license, without=["/delivery"]) / "LICENSE"
    assert hashlib.sha256(text.read_bytes()).hexdigest() == DIGESTS[license]


def test_who_owns_a_file_is_the_same_wherever_it_is_told(root: Path, default: Path) -> None:
    asked = (root / "copier.yml").read_text(encoding="utf-8")
    once = set(re.findall(r"_copier_operation == 'update' %\}/([\w./]+)\{%", asked))
    folders = {name for name in once if (default / name).is_dir()}
    wanted = {f"{name}/" if name in folders else name for name in once}
    shared = {"pyproject.toml", "tox.toml", "delivery.toml"}
    assert set(re.findall(r"\w+\.toml", asked.split("_exclude:")[0])) == shared

    page = (root / "docs" / "template.rst").read_text(encoding="utf-8")
    rows = {
        name: set(re.findall(r"``([^`]+)``", text))
        for name, text in re.findall(
            r"^   \* - (once|shared)\n(.*?)\n     - [a-z]", page, re.M | re.S
        )
    }
    assert rows == {"once": wanted, "shared": shared}

    readme = (default / "README.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^- \*\*(Yours|Shared)\*\*(.*)$", readme, re.M))
    plain = {"README.md": "this file", "CHANGELOG.md": "changelog", "LICENSE": "licence"}
    assert all(plain[name] in told["Yours"] for name in wanted & plain.keys())
    assert set(re.findall(r"`([^`]+)`", told["Yours"])) == wanted - plain.keys()
    assert set(re.findall(r"`([^`]+)`", told["Shared"])) == shared


def test_what_can_be_answered_is_what_is_asked(questions: dict[str, Any]) -> None:
    asked = [name for name, question in questions.items() if question.get("when", True)]
    assert questions["known_answers"]["default"].split() == asked


def test_ten_questions_are_asked_at_most(questions: dict[str, Any]) -> None:
    asked = [what for what in questions.values() if what.get("when", True)]
    assert sum(what.get("ask", True) for what in asked) <= 10


def test_the_builtins_are_those_of_python(questions: dict[str, Any]) -> None:
    public = {name for name in dir(builtins) if name.islower() and not name.startswith("_")}
    assert set(questions["python_builtins"]["default"].split()) >= public - {"copyright", "credits"}


def test_the_keywords_are_those_of_python(questions: dict[str, Any]) -> None:
    assert questions["python_keywords"]["default"].split() == keyword.kwlist


def test_the_modules_are_those_of_python(questions: dict[str, Any]) -> None:
    public = {name.lower() for name in sys.stdlib_module_names if not name.startswith("_")}
    assert set(questions["python_modules"]["default"].split()) >= public


def test_two_frameworks_differ_in_one_module(render: Render) -> None:
    flask, fastapi = (render(framework=name) for name in ("flask", "fastapi"))
    assert files.names(flask) == files.names(fastapi)
    differ = {n for n in files.names(flask) if (flask / n).read_text() != (fastapi / n).read_text()}
    assert {name for name in differ if name.startswith("src/")} == {"src/hello_delivery/app.py"}
    assert {name for name in differ if not name.startswith(("src/", "requirements/"))} == {
        *(".copier-answers.yml", "pyproject.toml", "tests/unit/test_app.py", "tox.toml")
    }


@pytest.mark.parametrize("linter", ["flake8", "ruff"])
@pytest.mark.parametrize("framework", ["flask", "fastapi", "django"])
def test_the_taken_names_are_what_the_project_needs(
    render: Render, questions: dict[str, Any], framework: str, linter: str
) -> None:
    project = render(framework=framework, linter=linter)
    pins = "".join(path.read_text() for path in (project / "requirements").iterdir())
    needed = {name.replace("-", "_") for name in re.findall(r"^([a-z0-9-]+)==", pins, re.M)}
    sources = [path for path in project.rglob("*.py") if "delivery" not in path.parts]
    text = "\n".join(path.read_text() for path in sources)
    needed |= set(re.findall(r"^(?:from|import) ([a-z_]\w*)", text, re.M))
    others = {"hello_delivery", *questions["python_modules"]["default"].split()}
    assert needed - others <= set(questions["taken_names"]["default"].split())


@pytest.mark.parametrize("linter", ["flake8", "ruff"])
@pytest.mark.parametrize("flavour", ["flask", "fastapi", "django", "library", "cli"])
def test_the_locks_fit_what_is_asked_for(render: Render, flavour: str, linter: str) -> None:
    kind = "kind" if flavour in ("library", "cli") else "framework"
    assert misfits(render(without=["src", "docs", "tests"], **{kind: flavour}, linter=linter)) == []


def test_hosts_have_the_uv_that_the_project_has(render: Render) -> None:
    project = render(without=["src", "docs", "tests"])
    own = (project / "delivery/roles/service/files/uv.txt").read_text()
    assert own.startswith("uv==") and own in (project / "requirements/tools.txt").read_text()


@pytest.mark.parametrize("license", LICENSES)
def test_license(render: Render, questions: dict[str, Any], license: str) -> None:
    assert set(questions["license"]["choices"].values()) == set(LICENSES)
    project = render(license=license, author_name="Ada & Co")
    expression, words = LICENSES[license]
    text = (project / "LICENSE").read_text(encoding="utf-8")
    assert files.toml(project)["project"]["license"] == expression
    assert words in text
    # The longer ones are to be kept word for word.
    if license in ("MIT", "BSD-3-Clause", "Proprietary"):
        assert "Copyright (c) Ada & Co" in text
    assert text.endswith("\n")
    assert text.split("\n\n")[0].strip() and "\n\n\n\n\n" not in text
    others = [other for name, (_, other) in LICENSES.items() if name != license]
    assert not [other for other in others if other in text.splitlines()]


@pytest.mark.parametrize("floor", ["3.11", "3.12", "3.13"])
def test_python_floor(render: Render, questions: dict[str, Any], floor: str) -> None:
    assert floor in questions["python_floor"]["choices"]
    project = render(python_floor=floor)
    config = files.toml(project)
    assert config["project"]["requires-python"] == f">={floor}"
    assert config["tool"]["mypy"]["python_version"] == floor
    assert f'python-version: "{floor}"' in (project / BEGIN).read_text(encoding="utf-8")


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


def test_names_of_ones_own(render: Render) -> None:
    names = {"distribution_name": "acme-billing", "import_name": "acme.billing"}
    project = render(project_name="Invoices", kind="cli", command_name="bill", **names)
    config = files.toml(project)
    assert config["project"]["name"] == "acme-billing"
    assert config["project"]["scripts"] == {"bill": "acme.billing.cli:main"}
    assert config["tool"]["setuptools"]["package-data"] == {"acme.billing": ["py.typed"]}
    assert (project / "src" / "acme" / "billing" / "py.typed").exists()
    assert not (project / "src" / "acme" / "__init__.py").exists()


@pytest.mark.parametrize("kind", ["library", "cli"])
def test_what_is_not_deployed_has_nothing_to_deploy_with(render: Render, kind: str) -> None:
    project = render(kind=kind)
    delivery = {path.name for path in (project / "delivery").iterdir()}
    code = {path.name for path in (project / "delivery").glob("*.py")}
    packages = {path.parent.name for path in (project / "delivery").glob("*/__init__.py")}
    assert delivery == {"copier.txt", *packages, *code}
    assert "ansible" not in (project / "tox.toml").read_text()
    assert list(files.toml(project, "delivery.toml")["stages"])[-1] == "acceptance"


@pytest.mark.parametrize(
    ("environments", "needs"),
    [
        (["acceptance"], {}),
        (["acceptance", "staging"], {"staging": ["acceptance", "performance"]}),
        (["acceptance", "production"], {"production": ["acceptance", "performance"]}),
        (
            ["production", "acceptance", "staging"],
            {"staging": ["acceptance", "performance"], "production": ["staging"]},
        ),
    ],
)
def test_environments(render: Render, environments: list[str], needs: dict[str, list[str]]) -> None:
    project = render(environments=environments)
    stages = files.toml(project, "delivery.toml")["stages"]
    deploying = {name: stage for name, stage in stages.items() if "environment" in stage}
    found = {name: stage["needs"] for name, stage in deploying.items() if name != "acceptance"}
    assert found == needs
    inventories = {path.name for path in (project / "delivery" / "inventories").iterdir()}
    assert inventories == deploying.keys() == set(environments)
    assert set(environments) < files.toml(project, "tox.toml")["env"].keys()
    ports = re.findall(
        r"service_port: (\d+)",
        "".join(path.read_text() for path in project.glob("delivery/inventories/*/hosts.yml")),
    )
    assert len(set(ports)) == len(environments)


@pytest.mark.parametrize("linter", ["flake8", "ruff"])
def test_linter(render: Render, linter: str) -> None:
    project = render(linter=linter)
    tools = files.toml(project)["tool"].keys() & {"black", "isort", "ruff"}
    assert tools == ({"ruff"} if linter == "ruff" else {"black", "isort"})
    assert (project / ".flake8").exists() is (linter == "flake8")
    commands = str(files.toml(project, "tox.toml")["env"]["lint"]["commands"])
    assert ("flake8" in commands, "ruff" in commands) == (linter == "flake8", linter == "ruff")
    pins = (project / "requirements" / "dev.txt").read_text()
    assert ("flake8==" in pins, "ruff==" in pins) == (linter == "flake8", linter == "ruff")


def test_repository(render: Render) -> None:
    project = files.toml(render(repository_url="https://git.example.org/a/b"))["project"]
    assert project["urls"] == {"Repository": "https://git.example.org/a/b"}
    assert "urls" not in files.toml(render())["project"]


def test_email(render: Render) -> None:
    with_email = render(author_email="ada.l+shop@mail.example.org")
    assert files.toml(with_email)["project"]["authors"] == [
        {"name": "The Hello Delivery team", "email": "ada.l+shop@mail.example.org"}
    ]
    without = files.toml(render(author_email=""))
    assert without["project"]["authors"] == [{"name": "The Hello Delivery team"}]
