"""Whatever is answered: a project that parses and holds the answers unchanged, or a refusal."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import copier
import pytest
from copier import _main, _template
from docutils.core import publish_doctree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.render import files
from tests.render.test_hostile import HOSTILE

RENDERED = 2000
# A few more are drawn, for a name of what is allowed may be a word of Python's all the same.
DRAWN = RENDERED + 100

# Hostile, and allowed.
LINES = st.one_of(
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=80),
    st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=3).map(lambda few: " ".join(few)[:400]),
    st.from_regex(r"[\"'\\{}%#$&<>`|*_\[\]:,=+~!-]{1,30}", fullmatch=True),
).filter(str.strip)
NAMES = st.from_regex(r"[A-Za-z]([ _-]?[A-Za-z0-9]){0,19}", fullmatch=True)
DISTRIBUTIONS = st.from_regex(r"[a-z](-?[a-z0-9]){0,19}", fullmatch=True)
IMPORTS = st.from_regex(r"[a-z][a-z0-9_]{0,9}(\.[a-z][a-z0-9_]{0,9}){0,2}", fullmatch=True)
COMMANDS = st.from_regex(r"[a-z]([_-]?[a-z0-9]){0,19}", fullmatch=True)
LOCAL = r"[A-Za-z0-9_%+-]{1,9}(\.[A-Za-z0-9_%+-]{1,9}){0,2}"
ADDRESSES = st.from_regex(
    rf"({LOCAL}@[A-Za-z0-9]{{1,9}}(\.[a-z0-9]{{1,9}}){{1,2}})?", fullmatch=True
)
HOST = r"[a-z0-9]{1,9}(\.[a-z0-9]{1,9}){0,2}(:[1-9][0-9]{1,3})?"
URLS = st.from_regex(rf"(https?://{HOST}(/[A-Za-z0-9_~+-]{{1,9}}){{1,3}})?", fullmatch=True)
# Anything at all, in place of any of them.
ANYTHING = st.one_of(st.text(max_size=80), st.emails(), LINES)
LICENSES = ["MIT", "BSD-3-Clause", "Apache-2.0", "MPL-2.0", "GPL-3.0-or-later", "Proprietary"]
CI = ["github", "gitlab", "jenkins", "buildbot"]
ENVIRONMENTS = ["acceptance", "staging", "production"]
FORMS = ["oci", "deb"]
CHOICES = [*CI, *ENVIRONMENTS, *FORMS]


def some(of: list[str]) -> st.SearchStrategy[list[str]]:
    """Return choices among several, in any order."""
    return st.lists(st.sampled_from(of), unique=True)


ALLOWED: dict[str, st.SearchStrategy[Any]] = {
    "project_name": NAMES,
    "description": LINES,
    "author_name": LINES,
    "author_email": ADDRESSES,
    "repository_url": URLS,
    "distribution_name": DISTRIBUTIONS,
    "import_name": IMPORTS,
    "command_name": COMMANDS,
    "kind": st.sampled_from(["service", "library", "cli"]),
    "framework": st.sampled_from(["flask", "fastapi", "django"]),
    "linter": st.sampled_from(["flake8", "ruff"]),
    "license": st.sampled_from(LICENSES),
    "python_floor": st.sampled_from(["3.11", "3.12", "3.13"]),
    "ci": some(CI),
    "environments": some(ENVIRONMENTS[1:]).map(lambda more: ["acceptance", *more]),
    "forms": some(FORMS),
}
TEXTS = [name for name in ALLOWED if name.endswith(("name", "description", "email", "url"))]
# What only one kind is asked.
ONLY = {
    "framework": "service",
    "environments": "service",
    "forms": "service",
    "command_name": "cli",
}


def fitting(answers: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the kind is not asked, which is refused."""
    kind = answers.get("kind", "service")
    return {name: told for name, told in answers.items() if ONLY.get(name, kind) == kind}


ANSWERS = st.fixed_dictionaries({}, optional=ALLOWED).map(fitting)


@pytest.fixture(scope="module")
def rendered_files(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template, only with the files that answers enter."""
    folder = tmp_path_factory.mktemp("rendered")
    shutil.copytree(template, folder, dirs_exist_ok=True)
    for path in sorted((folder / "template").rglob("*"), reverse=True):
        if path.is_file() and path.suffix != ".jinja":
            path.unlink()
        elif path.is_dir() and not [*path.iterdir()]:
            path.rmdir()
    return folder


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Read the questions once, not once for every project; ask git for nothing."""
    read: dict[Path, Any] = {}
    load = _template.load_template_config

    def loaded(path: Path, quiet: bool = False) -> Any:
        if path not in read:
            read[path] = load(path, quiet)
        return copy.deepcopy(read[path])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_template, "load_template_config", loaded)
        # The template is a folder, and the project no repository yet.
        patch.setattr(_template, "get_repo", lambda url: None)
        patch.setattr(_main.Worker, "answers_relpath", Path(".copier-answers.yml"))
        patch.setattr(_main.Worker, "_sync_git_index_executable_bit", lambda *files: None)
        yield


PARSED: set[tuple[str, str]] = set()


def parse(project: Path) -> None:
    """Parse every file; a text that was parsed before needs no second time."""
    for path in [path for path in project.rglob("*") if path.is_file()]:
        text = path.read_text(encoding="utf-8")
        kind = path.suffix or path.name
        if (kind, text) in PARSED:
            continue
        if kind == ".rst":
            # Sphinx knows this directive and this name, docutils does not.
            plain = text.replace(".. automodule::", ".. Module") + "\n.. |release| replace:: 1\n"
            publish_doctree(plain, settings_overrides=STRICT)
        elif kind in files.PARSERS:
            files.PARSERS[kind](text)
        PARSED.add((kind, text))


STRICT = {"halt_level": 2, "report_level": 2, "warning_stream": False}


OFTEN = settings(
    max_examples=DRAWN,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def copied(template: Path, answers: dict[str, Any]) -> bool:
    """Copy the template, and see what came out or nothing at all; return whether it came."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "project")
        try:
            copier.run_copy(
                str(template),
                project,
                data=answers,
                defaults=True,
                quiet=True,
                settings=copier.Settings(),
            )
        except ValueError as refusal:
            assert "alidation error for question" in str(refusal)
            assert not project.exists()
            return False
        holds(project, answers)
    return True


def test_what_is_allowed_arrives(quick: None, rendered_files: Path) -> None:
    """Whatever is drawn, thousands of projects come out: no test of refusals alone."""
    came = []

    @OFTEN
    @given(answers=ANSWERS)
    def draw(answers: dict[str, Any]) -> None:
        came.append(copied(rendered_files, answers))

    draw()
    assert sum(came) >= RENDERED, f"{len(came) - sum(came)} of {len(came)} were refused"


def test_anything_arrives_or_is_refused(quick: None, rendered_files: Path) -> None:
    came = []

    @settings(OFTEN, max_examples=RENDERED // 10)
    @given(answers=ANSWERS, name=st.sampled_from(TEXTS), value=ANYTHING)
    def draw(answers: dict[str, Any], name: str, value: str) -> None:
        kind = {"kind": ONLY[name]} if name in ONLY else {}
        came.append(copied(rendered_files, fitting(answers | kind) | {name: value}))

    draw()
    assert {*came} == {True, False}


def holds(project: Path, answers: dict[str, Any]) -> None:
    """See that a project parses, and that what it says is what was answered."""
    parse(project)
    noted = files.answers(project)
    for name in answers.keys() & noted.keys():
        # What is chosen among several is noted in the order of the choices.
        choice = isinstance(noted[name], list)
        assert noted[name] == (
            sorted(answers[name], key=CHOICES.index) if choice else answers[name]
        )
    assert answers.keys() <= noted.keys()
    config = files.toml(project)["project"]
    author = {"name": noted["author_name"]}
    if noted["author_email"]:
        author["email"] = noted["author_email"]
    assert config["description"] == noted["description"]
    assert config["authors"] == [author]
    assert config["name"] == noted["distribution_name"]
    assert config.get("urls", {"Repository": ""}) == {"Repository": noted["repository_url"]}
    package, command = noted["import_name"], noted.get("command_name", noted["distribution_name"])
    module = {"service": "server", "cli": "cli"}.get(noted["kind"])
    scripts = {command: f"{package}.{module}:main"} if module else {}
    if noted.get("framework") == "django":
        scripts[f"{command}-migrate"] = f"{package}.manage:migrate"
    assert config.get("scripts", {}) == scripts
    readme = [
        files.markdown(line)
        for line in (project / "README.md").read_text(encoding="utf-8").split("\n")
    ]
    assert readme[0] == f"# {noted['project_name']}"
    assert f"What it is for: {noted['description']}" in readme
    if noted["license"] in ("MIT", "BSD-3-Clause", "Proprietary"):
        text = (project / "LICENSE").read_text(encoding="utf-8")
        assert f"Copyright (c) {noted['author_name']}" in text
    stages = files.toml(project, "delivery.toml")["stages"]
    reached = [stage["environment"] for stage in stages.values() if "environment" in stage]
    assert reached == noted.get("environments", [])
