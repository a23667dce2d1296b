"""Faults that any project can have: each is for one stage to see, whatever the project is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Plant = Callable[[Path], None]


def greeting(root: Path) -> Path:
    """Return the module that every kind of project has."""
    (path,) = (root / "src").rglob("greeting.py")
    return path


def lint(root: Path) -> None:
    """Import what nobody uses."""
    head, body = greeting(root).read_text().split("\n\n", 1)
    greeting(root).write_text(f"{head}\n\nimport os\n\n{body}")


def types(root: Path) -> None:
    """Call a text a number."""
    greeting(root).write_text(greeting(root).read_text() + "\n\nANSWER: int = str(42)\n")


def unit(root: Path) -> None:
    """Claim what is not so."""
    claim = '"""A wrong claim."""\n\n\ndef test_wrong() -> None:\n    assert sum([1, 1]) == 3\n'
    (root / "tests" / "unit" / "test_wrong.py").write_text(claim)


def doctest(root: Path) -> None:
    """Let an example say what does not happen."""
    text = greeting(root).read_text()
    assert "    'Hello, Ada!'\n" in text
    greeting(root).write_text(text.replace("    'Hello, Ada!'\n", "    'Goodbye, Ada!'\n"))


def integration(root: Path) -> None:
    """Let the wheel lack a file that the source has, and its commands call what there is not."""
    greeting(root).with_name("words.txt").write_text("Hello\n")
    path = root / "pyproject.toml"
    text = path.read_text().replace(':main"', ':nowhere"')
    path.write_text(text + "\n[tool.setuptools]\ninclude-package-data = false\n")


def docs(root: Path) -> None:
    """Refer to a page that there is not."""
    path = root / "docs" / "index.rst"
    path.write_text(path.read_text() + "\nSee :doc:`nowhere`.\n")


def security(root: Path) -> None:
    """Sign with a digest that nobody should sign with."""
    head, body = greeting(root).read_text().split("\n\n", 1)
    sign = 'SIGN = hashlib.md5(b"Ada").hexdigest()'
    greeting(root).write_text(f"{head}\n\nimport hashlib\n\n{sign}\n\n{body}")


FAULTS: dict[Plant, str] = {
    lint: "lint",
    types: "lint",
    unit: "unit",
    doctest: "unit",
    integration: "integration",
    docs: "docs",
    security: "security",
}
