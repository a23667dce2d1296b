"""What a setup.py says, read from its syntax tree. It is never run."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

# No setup.py that a person wrote takes more to read.
STEPS = 10_000

# What is made anew, or says nothing that [project] could say.
IGNORED = {
    *("long_description", "long_description_content_type", "packages", "package_dir", "cmdclass"),
    *("package_data", "include_package_data", "zip_safe", "py_modules", "use_scm_version"),
    *("setup_requires", "test_suite", "data_files", "platforms", "download_url", "version"),
}


class _Computed(Exception):
    """It is known only when it runs."""


def arguments(text: str) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments that `setup` is called with, and what could not be read.

    Args:
        text: of setup.py.
    """
    try:
        tree = ast.parse(text)
        return _arguments(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return {}, [f"setup.py is no Python that can be read ({error}): nothing was taken from it"]


def _arguments(tree: ast.Module) -> tuple[dict[str, Any], list[str]]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_setup(node)]
    if not calls:
        return {}, ["setup.py calls no setup(…): nothing was taken from it"]
    reader = _Reader(_names(tree))
    found: dict[str, Any] = {}
    notes = []
    for keyword in calls[-1].keywords:
        try:
            value = reader.value(keyword.value)
        except _Computed:
            what = f"`{keyword.arg}`" if keyword.arg else "`**…`"
            if keyword.arg == "ext_modules":
                found["ext_modules"] = True
            elif keyword.arg not in IGNORED:
                notes.append(
                    f"setup.py, line {keyword.value.lineno}: {what} is computed, and nothing here "
                    "is run: write it into pyproject.toml by hand"
                )
            continue
        if keyword.arg:
            found[keyword.arg] = value
        elif isinstance(value, dict):
            found |= value
    return _typed(found, notes), notes


def _is_setup(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "setup"


def _names(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what each name stands for that is given a value once, at the top."""
    values: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            values.setdefault(node.id, [])
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    values[target.id].append(node.value)
    stored = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    times = [node.id for node in stored if isinstance(node.ctx, ast.Store)]
    changed = {
        node.func.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
    }
    return {
        name: found[0]
        for name, found in values.items()
        if len(found) == 1 and times.count(name) == 1 and name not in changed
    }


class _Reader:
    """Evaluates expressions of literals, of names for such, and of sums of both."""

    def __init__(self, names: dict[str, ast.expr]) -> None:
        self.names, self.open, self.steps = names, set[str](), 0

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression, or raise `_Computed`."""
        self.steps += 1
        if self.steps > STEPS:
            raise _Computed
        match node:
            case ast.Constant():
                return node.value
            case ast.Name(id=name) if name in self.names and name not in self.open:
                self.open.add(name)
                value = self.value(self.names[name])
                self.open.remove(name)
                return value
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self.value(part) for part in parts]
            case ast.Dict():
                return self._table(zip(node.keys, node.values, strict=True))
            case ast.Call(func=ast.Name(id="dict"), args=[]):
                words = ((ast.Constant(word.arg), word.value) for word in node.keywords)
                return self._table(words)
            case ast.BinOp(op=ast.Add()):
                left, right = self.value(node.left), self.value(node.right)
                if type(left) is type(right) and isinstance(left, str | list):
                    return left + right
        raise _Computed

    def _table(self, pairs: Iterable[tuple[ast.expr | None, ast.expr]]) -> dict[str, Any]:
        table = {}
        for key, value in pairs:
            name = self.value(key) if key else None
            if not isinstance(name, str):
                raise _Computed
            table[name] = self.value(value)
        return table


def _typed(found: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Keep the arguments that have a value of their kind."""
    kept: dict[str, Any] = {}
    for name, value in found.items():
        if name in ("install_requires", "tests_require", "classifiers"):
            value = value.split("\n") if isinstance(value, str) else value
            good = isinstance(value, list) and all(isinstance(part, str) for part in value)
            value = [part.strip() for part in value if part.strip()] if good else value
        elif name == "extras_require":
            good = isinstance(value, dict) and all(_words(part) for part in value.values())
            if good:
                value = {
                    key: [part] if isinstance(part, str) else part for key, part in value.items()
                }
        elif name == "entry_points":
            good = isinstance(value, str) or (
                isinstance(value, dict) and all(_words(part) for part in value.values())
            )
        elif name == "project_urls":
            good = isinstance(value, dict)
        elif name in ("ext_modules", "scripts", "keywords", "data_files"):
            good = True
        else:
            good = isinstance(value, str)
        if good:
            kept[name] = value
        elif name not in IGNORED:
            notes.append(f"setup.py: `{name}` is not what setup takes: {value!r:.60}")
    return kept


def _words(value: Any) -> bool:
    """Whether it is a text, or a list of such."""
    parts = value if isinstance(value, list) else [value]
    return all(isinstance(part, str) for part in parts)
