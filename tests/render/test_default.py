"""What somebody gets who answers nothing: these files, this small."""

from __future__ import annotations

import ast
import re
from datetime import date
from pathlib import Path

from tests.render import files

TEAMS_OWN = ("README.md", "src/", "tests/", "docs/", "delivery/inventories/")
PROJECT = set("""
    .copier-answers.yml .flake8 .git_archival.txt .gitattributes
    .github/actions/begin/action.yml .github/actions/end/action.yml
    .github/workflows/delivery.yml .github/workflows/operate.yml .github/workflows/template.yml
    .gitignore CHANGELOG.md LICENSE README.md delivery.toml docs/conf.py docs/index.rst
    pyproject.toml requirements/dev.txt requirements/prod.txt requirements/tools.txt renovate.json
    src/hello_delivery/__init__.py src/hello_delivery/app.py src/hello_delivery/greeting.py
    src/hello_delivery/ops.py src/hello_delivery/py.typed src/hello_delivery/release.py
    src/hello_delivery/server.py src/hello_delivery/settings.py
    src/hello_delivery/static/style.css
    src/hello_delivery/templates/index.html tests/acceptance/environment.py
    tests/acceptance/features/greeting.feature tests/acceptance/features/operations.feature
    tests/acceptance/steps/service.py tests/integration/test_wheel.py tests/unit/test_app.py
    tox.toml
    """.split())


def lines(path: Path) -> int:
    """Count the lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def test_files(default: Path) -> None:
    found = files.names(default)
    assert {name for name in found if not name.startswith("delivery/")} == PROJECT
    assert "delivery/__main__.py" in found


def test_what_is_the_teams_is_small(default: Path) -> None:
    own = {name for name in files.names(default) if name.startswith(TEAMS_OWN)}
    assert sum(lines(default / name) for name in own) <= 600


def code_lines(path: Path) -> int:
    """Count the lines that do something: no blank ones, no comments, no docstrings."""
    text = path.read_text(encoding="utf-8")
    said: set[int] = set()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                said |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    rows = enumerate(text.splitlines(), 1)
    return sum(bool(row.strip()) and row.strip()[0] != "#" and n not in said for n, row in rows)


def test_what_is_managed_is_small(default: Path) -> None:
    found = files.names(default)
    pins = {name for name in found if name.endswith(".txt")}
    managed = {name for name in found - pins if not name.startswith(TEAMS_OWN)}
    assert len({name for name in found if not name.startswith("delivery/")}) <= 38
    assert len(found) <= 170
    assert sum(code_lines(default / name) for name in managed) <= 11431
    assert max(lines(default / name) for name in managed if name.endswith(".py")) <= 300


def test_the_template_is_mostly_plain(template: Path) -> None:
    sources = [path for path in (template / "template").rglob("*") if path.is_file()]
    rendered = [path.read_text(encoding="utf-8") for path in sources if path.suffix == ".jinja"]
    tags = sum(len(re.findall(r"\{[{%]", text)) for text in rendered)
    assert tags * 100 / sum(lines(path) for path in sources if path.suffix != ".txt") < 3


def test_everything_parses(default: Path) -> None:
    assert files.parse(default) >= {".toml", ".yml", ".py", ".flake8"}


def test_no_template_language_is_left(default: Path) -> None:
    # Flask's own template, Ansible's variables and GitHub's expressions are no leftovers.
    allowed = re.compile(r"^(src/.*\.html|delivery/.*)$")
    left = {
        name
        for name in files.names(default)
        if not allowed.match(name)
        and re.search(r"(?<!\$)\{\{|\{%|\{#", (default / name).read_text(encoding="utf-8"))
    }
    assert not left


def test_nothing_depends_on_the_day(default: Path) -> None:
    year = str(date.today().year)
    texts = ("LICENSE", "README.md", "CHANGELOG.md", "docs/conf.py", "pyproject.toml")
    assert not [name for name in texts if year in (default / name).read_text(encoding="utf-8")]


def test_the_answers_are_noted_and_nothing_else(default: Path) -> None:
    assert {key for key in files.answers(default) if not key.startswith("_")} == {
        "project_name",
        "kind",
        "framework",
        "description",
        "author_name",
        "author_email",
        "repository_url",
        "license",
        "linter",
        "ci",
        "distribution_name",
        "import_name",
        "python_floor",
        "environments",
        "forms",
    }


def test_requirements_are_exact_and_name_no_index(default: Path) -> None:
    for name in ("prod", "dev", "tools"):
        text = (default / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        assert "://" not in text
        entries = text.replace("\\\n", " ").splitlines()
        assert all(re.match(r"[a-z0-9.-]+==\S+", entry) for entry in entries)
        assert name == "dev" or all("--hash=sha256:" in entry for entry in entries)


def test_the_three_requirements_agree(default: Path) -> None:
    found: dict[str, set[str]] = {}
    for name in ("prod", "dev", "tools"):
        text = (default / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        for package, version in re.findall(r"^([a-z0-9.-]+)==(\S+)(?: \\)?$", text, re.M):
            found.setdefault(package, set()).add(version)
    assert "flask" in found and "tox" in found
    # A line with a marker may be one of several versions; all others agree.
    assert not {package: versions for package, versions in found.items() if len(versions) > 1}
