"""Write the CI files of ``template/`` from what renders them: ``tox run -e emit``.

Copier cannot run code, so the template has each CI file once, as Jinja that is written here: the
file is rendered for every shape a stage table may have, and the lines in which shapes differ stand
in conditions. `test_files` sees that both give the same.
"""

from __future__ import annotations

import difflib
import itertools
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import copier
from delivery.ci import files
from delivery.config import load

ROOT = Path(__file__).resolve().parents[2]
SHAPES: dict[str, dict[str, Any]] = {
    "index": {"kind": "library"},
    "acceptance": {"environments": ["acceptance"]},
    "acceptance+staging": {"environments": ["acceptance", "staging"]},
    "acceptance+production": {"environments": ["acceptance", "production"]},
    "acceptance+staging+production": {"environments": ["acceptance", "staging", "production"]},
}
SHAPE = (
    "{% set shape = 'index' if kind != 'service' else (['acceptance']"
    " + (['staging', 'production'] | select('in', environments) | list)) | join('+') -%}\n"
)
FLOOR = (98, 76)  # stands for the answer `python_floor`
# The CI system of a file, by the first part of its path.
OWNERS = {
    ".github": "github",
    ".gitlab-ci.yml": "gitlab",
    "Jenkinsfile": "jenkins",
    "jenkins": "jenkins",
    "buildbot": "buildbot",
}
Line = tuple[str, frozenset[str]]


def source(path: str, everywhere: bool = True) -> str:
    """Return the path in ``template/`` of what becomes a project's CI file.

    Args:
        path: the file's path in a project.
        everywhere: whether every shape has it, not only those that deploy.
    """
    first, _, rest = path.partition("/")
    folder, _, name = rest.rpartition("/")
    if not everywhere:
        name = f"{{% if kind == 'service' %}}{name}{{% endif %}}"
    owner = f"{{% if '{OWNERS[first]}' in ci %}}{first}{{% endif %}}"
    return "/".join(filter(None, [owner, folder, name])) + ".jinja"


def jinja(shapes: Mapping[str, str]) -> str:
    """Return one Jinja text that gives each of these texts for its shape."""
    merged: list[Line] = []
    for shape, text in shapes.items():
        merged = _merge(merged, text.splitlines(keepends=True), shape)
    parts = [SHAPE]
    for where, lines in itertools.groupby(merged, key=lambda line: line[1]):
        text = _escaped("".join(line for line, _ in lines))
        if where != shapes.keys():
            names = ", ".join(f"'{shape}'" for shape in shapes if shape in where)
            text = f"{{% if shape in [{names}] %}}{text}{{% endif %}}"
        parts.append(text)
    return "".join(parts)


def _merge(merged: Sequence[Line], lines: Sequence[str], shape: str) -> list[Line]:
    matcher = difflib.SequenceMatcher(None, [line for line, _ in merged], lines, autojunk=False)
    made: list[Line] = []
    for what, start, end, new_start, new_end in matcher.get_opcodes():
        if what == "equal":
            made += [(line, where | {shape}) for line, where in merged[start:end]]
        else:
            made += merged[start:end]
            made += [(line, frozenset([shape])) for line in lines[new_start:new_end]]
    return made


def _escaped(text: str) -> str:
    floor = ".".join(map(str, FLOOR))
    if not any(mark in text for mark in ("{{", "{%", "{#")):
        return text.replace(floor, "{{ python_floor }}")
    inner = text.replace(floor, "{% endraw %}{{ python_floor }}{% raw %}")
    return f"{{% raw %}}{inner}{{% endraw %}}"


def emitted() -> dict[str, str]:
    """Return the text of every CI file of ``template/``, by its path there."""
    shapes: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory(prefix="emit-") as scratch:
        template = Path(scratch, "template")
        (template / "template").mkdir(parents=True)
        for name in ("copier.yml", "template/delivery.toml.jinja", "template/pyproject.toml.jinja"):
            shutil.copy(ROOT / name, template / name)
        for shape, answers in SHAPES.items():
            project = Path(scratch, shape)
            told = answers | {"ci": []}
            settings = copier.Settings()
            copier.run_copy(
                str(template), project, told, defaults=True, quiet=True, settings=settings
            )
            config = replace(load(project), python=FLOOR)
            for path, text in files.rendered(config).items():
                shapes.setdefault(path, {})[shape] = text
    return {source(path, "index" in texts): jinja(texts) for path, texts in shapes.items()}


def main() -> None:
    """Write them."""
    for name, text in emitted().items():
        place = ROOT / "template" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main()
