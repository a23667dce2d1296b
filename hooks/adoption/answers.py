"""What the template would ask, answered by what a project says already."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from .repository import Refused, Repository
from .sources import Said

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
# As the validators in copier.yml have them.
DISTRIBUTION = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
COMMAND = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
LABEL = r"[A-Za-z0-9]+(-+[A-Za-z0-9]+)*"
EMAIL = re.compile(rf"(?=.{{,254}}\Z)[A-Za-z0-9_%+-]+(\.[A-Za-z0-9_%+-]+)*@{LABEL}(\.{LABEL})+")
URL = re.compile(
    rf"(?=.{{,200}}\Z)https?://{LABEL}(\.{LABEL})*(:(?!0+/)[0-9]{{1,5}})?"
    r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~+-]+)+/?"
)
LICENSES = {
    "MIT": r"MIT( License)?|Expat",
    "BSD-3-Clause": r"BSD[ -]3[ -]Clause.*|3-Clause BSD.*|(new|modified|revised) BSD.*",
    "Apache-2.0": r"Apache([ -]Software)?( License)?,?( Version)?[ -]?(2(\.0)?)?",
    "MPL-2.0": r"MPL[ -]?(v?2(\.0)?)|Mozilla Public License,?( version)? 2\.0.*",
    "GPL-3.0-or-later": r"GPL[ -]?v?3(\.0)?(-or-later|\+)|GNU General Public License v3 or later.*",
    "Proprietary": r"LicenseRef-Proprietary|Proprietary.*|Other/Proprietary License",
}
# Words that only one licence's text has.
TEXTS = {
    "BSD-3-Clause": "Neither the name of",
    "MIT": "Permission is hereby granted, free of charge",
    "Apache-2.0": "Apache License Version 2.0",
    "MPL-2.0": "Mozilla Public License Version 2.0",
}
# Folders of Python files that are no package of the project's.
OTHERS = ("tests", "test", "docs", "doc", "examples", "scripts", "tools", "benchmarks", "build")
NOT_MODULES = ("setup", "conftest", "noxfile", "tasks", "manage", "versioneer", "fabfile")
FRAMEWORKS = ("django", "fastapi", "flask")
CI_FILES = {"github": ".github", "gitlab": ".gitlab-ci.yml", "jenkins": "Jenkinsfile"}


@dataclass(frozen=True)
class Answer:
    """An answer, and who says so."""

    value: Any
    where: str


@dataclass(frozen=True)
class Package:
    """Where the project's own code is: a package, or a module that has to become one.

    Attributes:
        name: how it is imported.
        path: its folder or its file.
    """

    name: str
    path: PurePosixPath

    @property
    def top(self) -> PurePosixPath:
        """What has to be in `src`: the package, or the namespace it is in."""
        parts = self.path.parts
        return PurePosixPath(*parts[: 2 if parts[0] == "src" else 1])


def normal(name: str) -> str:
    """Return a distribution's name as an index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def package(repository: Repository, distribution: str) -> Package:
    """Find the project's package.

    Raises:
        Refused: there is none, or nobody can say which of several it is.
    """
    files = [PurePosixPath(name) for name in repository.files if name.endswith(".py")]
    in_src = [path for path in files if path.parts[0] == "src" and len(path.parts) > 1]
    base = 1 if in_src else 0
    found: dict[str, Package] = {}
    for path in sorted(in_src or files, key=lambda path: len(path.parts)):
        parts = path.parts[base:]
        if not base and (parts[0] in OTHERS or parts[0].startswith(".")):
            continue
        name = ".".join(parts[:-1])
        if path.name == "__init__.py" and parts[:-1]:
            if not any(name.startswith(f"{outer}.") for outer in found):
                found[name] = Package(name, path.parent)
        elif (
            len(parts) == 1
            and re.fullmatch(r"[^\W_]\w*", path.stem)
            and path.stem not in NOT_MODULES
        ):
            found.setdefault(path.stem, Package(path.stem, path))
    wanted = normal(distribution)
    matching = [one for name, one in found.items() if normal(name) == wanted]
    packages = [one for one in found.values() if one.path.suffix != ".py"]
    for some in (matching, packages, list(found.values())):
        if len(some) == 1:
            return some[0]
    if not found:
        raise Refused(
            "no Python package is in the last commit: a project of this template has one, in src/"
        )
    raise Refused(
        f"which is the project's package: {', '.join(sorted(found))}? One of them becomes "
        f"src/…; name the distribution like it (now it is {distribution!r}), or move the others "
        f"into it"
    )


def answers(repository: Repository, said: Said, notes: list[str]) -> dict[str, Answer]:
    """Answer every question of the template.

    Args:
        repository: the project.
        said: what its files say.
        notes: gets a sentence for each answer that is not simply what the project says.

    Raises:
        Refused: its name or its package are such as the template cannot have.
    """
    name = Answer(said.project.get("name") or repository.root.name, said.where.get("name", ""))
    if not name.where:
        name = Answer(name.value, "the folder's name")
    distribution = normal(str(name.value))
    if len(distribution) > 40 or not DISTRIBUTION.fullmatch(distribution):
        raise Refused(
            f"{name.where} calls it {name.value!r}: the template takes lower-case ASCII letters, "
            "digits and single hyphens between them, beginning with a letter, at most 40 of them"
        )
    own = package(repository, distribution)
    if len(own.name) > 60 or not PACKAGE.fullmatch(own.name):
        raise Refused(
            f"its package is {own.name!r}: the template takes lower-case ASCII letters, digits and "
            "underscores only"
        )
    scripts = said.project.get("scripts", {})
    kind, framework = _kind(said, notes)
    found = {
        "project_name": Answer(distribution, name.where),
        "distribution_name": Answer(distribution, name.where),
        "import_name": Answer(own.name, str(own.path)),
        "kind": kind,
        "description": _description(said, notes),
        **_author(said, distribution, notes),
        "repository_url": _url(repository, said),
        "license": _license(repository, said, notes),
        "python_floor": _floor(said, notes),
        "linter": _linter(repository, said),
    }
    found["ci"] = _ci(repository, str(found["repository_url"].value))
    if framework:
        found["framework"] = framework
    if kind.value == "cli":
        commands = [command for command in scripts if COMMAND.fullmatch(command)]
        first = next((one for one in commands if normal(one) == distribution), None)
        command = first or next(iter(commands), distribution)
        found["command_name"] = Answer(command, said.where.get("scripts", ""))
    return found


def data_file(found: dict[str, Answer]) -> str:
    """Write the answers for Copier's `--data-file`, each with who says so."""
    lines = (
        f"{name}: {json.dumps(answer.value, ensure_ascii=False)}  # {_line(answer.where)}\n"
        for name, answer in found.items()
    )
    return "".join(lines)


def _line(text: Any) -> str:
    return CONTROL.sub(" ", str(text)).strip()


def _kind(said: Said, notes: list[str]) -> tuple[Answer, Answer | None]:
    needs = [
        normal(re.split(r"[^\w.-]", need.strip(), maxsplit=1)[0])
        for need in said.project.get("dependencies", [])
        if isinstance(need, str)
    ]
    for framework in FRAMEWORKS:
        if framework in needs:
            why = f"it depends on {framework}"
            notes.append(f'kind: a service, for {why}; answer "library" if others import it')
            return Answer("service", why), Answer(framework, why)
    if said.project.get("scripts"):
        return Answer("cli", f"commands in {said.where['scripts']}"), None
    return Answer("library", "no command, no web framework"), None


def _description(said: Said, notes: list[str]) -> Answer:
    text = _line(said.project.get("description", ""))
    if not text:
        notes.append("description: nothing says what it is for; write one sentence")
        return Answer("What it is for is not said yet.", "nobody says")
    if len(text) > 400:
        notes.append("description: cut to 400 characters")
    return Answer(text[:400].strip(), said.where["description"])


def _author(said: Said, distribution: str, notes: list[str]) -> dict[str, Answer]:
    authors = [one for one in said.project.get("authors", []) if isinstance(one, dict)]
    first, where = (authors or [{}])[0], said.where.get("authors", "nobody says")
    name = _line(first.get("name") or f"The {distribution} team")[:400]
    email = _line(first.get("email", ""))
    if email and not EMAIL.fullmatch(email):
        notes.append(f"author_email: {email[:60]!r} is no address, so it is left empty")
        email = ""
    return {"author_name": Answer(name, where), "author_email": Answer(email, where)}


def web_address(remote: str) -> str:
    """Turn the address of a remote into one for a browser, without user and password."""
    if found := re.fullmatch(r"(?:[\w.-]+@)([\w.-]+):(?!//)(.+)", remote):
        return f"https://{found[1]}/{found[2]}".removesuffix(".git")
    try:
        parts = urlsplit(remote)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https", "ssh", "git") or not host:
        return ""
    web = parts.scheme in ("http", "https")
    host += f":{port}" if port and web else ""
    return f"{parts.scheme if web else 'https'}://{host}{parts.path}".removesuffix(".git")


def _url(repository: Repository, said: Said) -> Answer:
    urls = {str(name).lower(): url for name, url in said.project.get("urls", {}).items()}
    for name in ("repository", "source", "source code", "code", "github", "homepage"):
        url = web_address(str(urls.get(name, "")))
        if URL.fullmatch(url) and (name != "homepage" or re.match(r"https://git(hub|lab)\.", url)):
            return Answer(url, said.where["urls"])
    url = web_address(repository.origin())
    if URL.fullmatch(url):
        return Answer(url, "the remote origin")
    return Answer("", "nobody says")


def _license(repository: Repository, said: Said, notes: list[str]) -> Answer:
    told = _line(said.project.get("license", ""))
    classifiers = [str(one) for one in said.project.get("classifiers", [])]
    classified = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: ")]
    for text, where in [(told, "license"), *((one, "classifiers") for one in classified)]:
        for name, pattern in LICENSES.items():
            if text and re.fullmatch(pattern, re.sub(r" \(.*\)$", "", text), re.IGNORECASE):
                return Answer(name, said.where[where])
    # Which of the BSD licences it is, only the text tells.
    if "BSD" in told or not told:
        for file in repository.named(r"(licen[cs]e|copying)(\..*)?"):
            text = " ".join((repository.read(file) or "").split())
            for name, words in TEXTS.items():
                if words.lower() in text.lower():
                    return Answer(name, file)
    notes.append(
        f"license: {told[:60]!r} is none of the template's" if told else "license: none is said"
    )
    notes[-1] += "; pyproject.toml says it is proprietary, until you say there what it is (SPDX)"
    return Answer("Proprietary", "nothing that the template offers")


def _floor(said: Said, notes: list[str]) -> Answer:
    told = str(said.project.get("requires-python", ""))
    found = re.search(r"(?:>=?|~=|\^|===?)\s*3\.(\d+)", told)
    minor = int(found[1]) if found else 0
    if minor < 11:
        notes.append("python_floor: 3.11 is the oldest Python that the template knows")
    if "<" in told or "==" in told:
        notes.append(f"python_floor: {told!r} has an upper end, which is dropped")
    where = said.where.get("requires-python", "nobody says")
    return Answer(f"3.{min(max(minor, 11), 13)}", where)


def _linter(repository: Repository, said: Said) -> Answer:
    if "ruff" in said.tables.get("tool", {}):
        return Answer("ruff", "pyproject.toml")
    if files := repository.named(r"\.?ruff\.toml"):
        return Answer("ruff", files[0])
    if "ruff" in (repository.read(".pre-commit-config.yaml") or ""):
        return Answer("ruff", ".pre-commit-config.yaml")
    return Answer("flake8", "no ruff is mentioned")


def _ci(repository: Repository, url: str) -> Answer:
    """Return the CI systems the project has files for; without any, the one where it is kept."""
    top = {name.partition("/")[0] for name in repository.files}
    found = [system for system, start in CI_FILES.items() if start in top]
    if found:
        return Answer(found, ", ".join(CI_FILES[system] for system in found))
    host = (urlsplit(url).hostname or "").split(".")
    kept = [system for system in CI_FILES if system in host]
    return Answer(kept, "its repository" if kept else "no CI system is mentioned")
