"""Bring together what a project had and what Copier put over it, so that git shows each change."""

from __future__ import annotations

import re
import shlex
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from . import answers, pyproject, sources
from .repository import ANSWERS, Refused, Repository

README, LICENSE, NOTICE = r"readme(\..*)?", r"(licen[cs]e|copying)([.-].*)?", r"notice(\..*)?"
CHANGELOG = r"(changelog|changes|history|news)(\..*)?"
# The template's tests are in these; all the rest of tests/ is the project's own.
LEVELS = ("unit", "integration", "acceptance")
# Without these the pipeline is not what the template made, whatever .gitignore says.
NEEDED = ("delivery", "requirements", "delivery.toml", "tox.toml", "pyproject.toml", ANSWERS)
# They would be read instead of pyproject.toml and tox.toml, which say it all now.
OVERRULING = (
    *("setup.cfg", "tox.ini", "pytest.ini", ".pytest.ini", ".coveragerc", "mypy.ini"),
    *(".mypy.ini", ".isort.cfg", "ruff.toml", ".ruff.toml", ".bumpversion.cfg", "versioneer.py"),
)
# What a tag may be that a version comes from.
VERSION = re.compile(r"[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?")


@dataclass
class Merged:
    """What came of it.

    Attributes:
        conflicts: files that both have, and only a person can bring together.
        steps: commands that are left to a person.
        notes: what is to be known, in sentences.
    """

    conflicts: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def excluded(repository: Repository, found: dict[str, answers.Answer]) -> list[str]:
    """Return what the project shall not have of the template: its example, and what it has."""
    path = "/src/" + str(found["import_name"].value).replace(".", "/")
    features = "/tests/acceptance/features"
    match found["kind"].value:
        case "service":
            example = ("greeting.py", "models.py", "views.py", "migrations", "templates", "static")
            names = [*(f"{path}/{name}" for name in ("__init__.py", *example))]
            names.append(f"{features}/greeting.feature")
        case "cli":
            names = ["/src", "/tests/integration/test_command.py", features]
        case _:
            names = ["/src", features]
    names.append("/tests/unit")
    for pattern, name in ((README, "README.md"), (LICENSE, "LICENSE"), (CHANGELOG, "CHANGELOG.md")):
        if repository.named(pattern):
            names.append(f"/{name}")
    has_docs = any(name.startswith("docs/") for name in repository.files)
    names.append("/docs" if has_docs else "/docs/index.rst")
    return sorted(names)


def merge(repository: Repository) -> Merged:
    """Merge, and stage all of it: `git diff --staged` is what joining changes.

    Args:
        repository: the project, after `copier copy`.

    Raises:
        Refused: Copier was not there, or this was done before.
    """
    if ANSWERS in repository.names("ls-files"):
        raise Refused(
            "this was merged before: git diff --staged shows it; to begin anew: "
            "git reset --hard && git clean -fd"
        )
    if not (repository.root / ANSWERS).is_file():
        raise Refused("nothing is here to merge: `copier copy` comes before, as `look` says it")
    said = sources.read(repository)
    merged = Merged(notes=said.notes)
    own = answers.package(repository, _noted(repository, "distribution_name"))
    texts = _texts(repository, said, own, merged)
    both = repository.names("diff", "--name-only", "--diff-filter=MT", "HEAD")
    for name, text in texts.items():
        (repository.root / name).write_text(text, encoding="utf-8")
    needed = [name for name in NEEDED if (repository.root / name).exists()]
    repository.output("add", "--all")
    repository.output("add", "--force", "--", *needed)
    merged.conflicts = [name for name in both if name not in texts and _conflict(repository, name)]
    merged.steps = steps(repository, own, said)
    return merged


def _texts(
    repository: Repository, said: sources.Said, own: answers.Package, merged: Merged
) -> dict[str, str]:
    """Return the files that can be brought together without a person, before one is written."""
    rendered = (repository.root / "pyproject.toml").read_text(encoding="utf-8")
    files = {"license-files": repository.named(LICENSE, NOTICE)}
    told, readmes = said.project.get("readme"), repository.named(README)
    ordered = sorted(readmes, key=lambda name: (not name.endswith((".md", ".rst", ".txt")), name))
    files["readme"] = [told] if told in repository.files else ordered
    untyped = [] if _typed(said) else _modules(repository, own)
    theirs = repository.read("pyproject.toml") or ""
    text, notes = pyproject.carried(rendered, theirs, said, files, untyped)
    merged.notes += notes
    texts = {"pyproject.toml": text}
    ignored = repository.read(".gitignore")
    if ignored is not None:
        path = repository.root / ".gitignore"
        texts[".gitignore"] = _united(path.read_text(encoding="utf-8"), ignored)
    return texts


def steps(repository: Repository, own: answers.Package, said: sources.Said) -> list[str]:
    """Return the commands that bring the project's files to where the pipeline looks for them."""
    found = []
    package = PurePosixPath("src", *own.name.split("."))
    if own.path.suffix == ".py":
        found.append(f"mkdir -p {package} && git mv {own.path} {package}/__init__.py")
    elif own.path.parts[0] != "src" and (repository.root / package).exists():
        inside = dict.fromkeys(
            name.removeprefix(f"{own.path}/").partition("/")[0]
            for name in repository.files
            if name.startswith(f"{own.path}/")
        )
        parts = shlex.join(f"{own.path}/{name}" for name in inside)
        found.append(f"git mv {parts} {package}/")
    elif own.path.parts[0] != "src":
        found.append(f"mkdir -p src && git mv {own.top} src/")
    for folder in ("tests", "test"):
        names = dict.fromkeys(
            path.parts[1]
            for path in map(PurePosixPath, repository.files)
            if path.parts[0] == folder and len(path.parts) > 1
        )
        moved = [f"{folder}/{name}" for name in names if folder == "test" or name not in LEVELS]
        if moved:
            found.append(f"mkdir -p tests/unit && git mv {shlex.join(moved)} tests/unit/")
    gone = [name for name in OVERRULING if name in repository.files]
    if sources.SETUP_PY in repository.files and not any("ext_modules" in n for n in said.notes):
        gone.append(sources.SETUP_PY)
    if gone:
        found.append(f"git rm --quiet {shlex.join(sorted(gone))}")
    version = str(said.project.get("version", ""))
    if VERSION.fullmatch(version) and not {version, f"v{version}"} & {*repository.tags()}:
        found.insert(0, f"git tag {version}")
    return found


def _noted(repository: Repository, key: str) -> str:
    """Return an answer that Copier noted."""
    for line in (repository.root / ANSWERS).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(": ")
        if name == key:
            return value.strip("'\"")
    raise Refused(f"{ANSWERS} has no {key}: it is of another template")


def _typed(said: sources.Said) -> bool:
    return bool(said.tables.get("tool", {}).get("mypy", {}).get("strict"))


def _modules(repository: Repository, own: answers.Package) -> list[str]:
    docs = ["docs.*"] if "docs/conf.py" in repository.files else []
    return [own.name, f"{own.name}.*", "tests.unit.*", *docs]


def _united(lines: str, before: str) -> str:
    """Put the lines of before below the template's, without those that are there already."""
    known = lines.splitlines()
    more = [line for line in before.splitlines() if not line.strip() or line not in known]
    return "\n".join([*known, "", *more]).rstrip("\n") + "\n"


def _conflict(repository: Repository, name: str) -> bool:
    """Make of two files one with conflict markers, and tell git of it, so that no commit has it.

    Returns:
        Whether there is a conflict: an empty file is in none.
    """
    path = repository.root / name
    mode, blob, *_ = repository.output("ls-files", "--stage", "--", name).decode().split()
    theirs = repository.output("rev-parse", f"HEAD:{name}").decode().strip()
    with tempfile.TemporaryDirectory(prefix="adopt-") as scratch:
        yours, before, template = (Path(scratch, side) for side in ("yours", "before", "template"))
        yours.write_bytes(repository.output("cat-file", "blob", theirs))
        before.touch()
        template.write_bytes(path.read_bytes())
        labels = ("-L", "yours", "-L", "before", "-L", "the template's")
        if repository.succeeds("merge-file", *labels, str(yours), str(before), str(template)):
            return False
        path.write_bytes(yours.read_bytes())
    sides = f"{mode} {theirs} 2\t{name}\n{mode} {blob} 3\t{name}\n"
    gone = f"0 {'0' * len(theirs)}\t{name}\n"
    repository.output("update-index", "--index-info", data=(gone + sides).encode())
    return True
