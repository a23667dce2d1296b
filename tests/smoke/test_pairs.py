"""Every pair of answers: what is emitted is clean before anything of it runs."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from yamllint import linter  # type: ignore[import-untyped]  # it has none
from yamllint.config import YamlLintConfig  # type: ignore[import-untyped]  # it has none

from tests.render import files
from tests.smoke.conftest import Tools
from tests.smoke.options import ROOT, Row, options, pairs, rows

ROWS = rows()
NAMES = ["-".join(row.values()) for row in ROWS]
BIN = Path(sys.executable).parent
YAML = YamlLintConfig(file=str(ROOT / ".yamllint"))
every_row = pytest.mark.parametrize("row", ROWS, ids=NAMES)
Made = Callable[[Row], Path]

# Found by their names, or by a person: nothing has to mention them.
KNOWN = re.compile(
    r"README\.md|CHANGELOG\.md|LICENSE|pyproject\.toml|tox\.toml|delivery\.toml|renovate\.json"
    r"|\.gitattributes|\.gitignore|\.flake8|\.copier-answers\.yml"
    r"|\.github/(workflows/[^/]+\.yml|actions/\w+/action\.yml)"
    r"|docs/(conf\.py|index\.rst)|src/.*/(__init__\.py|py\.typed|0001_\w+\.py)"
    r"|tests/(unit|integration)/test_\w+\.py"
    r"|tests/acceptance/(environment\.py|features/\w+\.feature|steps/\w+\.py)"
    r"|delivery/(__init__|__main__)\.py|delivery/inventories/\w+/hosts\.yml"
    # What dpkg looks for in a package.
    r"|delivery/forms/debian/(control|postinst|postrm|prerm)"
    # Ansible's own layout: https://docs.ansible.com/ansible/latest/playbook_guide/
    r"|delivery/ansible\.cfg|delivery/plugins/callback/\w+\.py"
    r"|delivery/roles/service/((defaults|meta|tasks)/main\.yml|meta/argument_specs\.yml)"
    r"|delivery/roles/service/module_utils/service_host/__init__\.py"
    r"|buildbot/hosts\.yml|buildbot/roles/buildbot/meta/argument_specs\.yml"
    r"|buildbot/roles/buildbot/(defaults|handlers|meta|tasks|vars)/main\.yml"
    # Which of the two is included, `service_init` says.
    r"|delivery/roles/service/tasks/(supervisor|systemd)\.yml"
)
# What the files of a CI system look like, by its own schema. Jenkins and Buildbot have none: their
# files are programs, and tests/ci runs them.
FORMS = (
    ("github", ".github/workflows/*.yml", ["vendor.github-workflows"]),
    ("github", ".github/actions/*/action.yml", ["vendor.github-actions"]),
    ("gitlab", ".gitlab-ci.yml", ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
)


def test_every_pair_of_values_is_in_a_row() -> None:
    values = options()
    found = {pair for row in ROWS for pair in pairs(row)}
    wanted = {
        frozenset([(one, a), (other, b)])
        for one, other in itertools.combinations(values, 2)
        for a in values[one]
        for b in values[other]
    }
    assert wanted <= found
    assert len(ROWS) <= 40


@every_row
def test_every_file_parses(made: Made, row: Row) -> None:
    assert files.parse(made(row)) >= {".toml", ".yml", ".json", ".py"}


@every_row
def test_nothing_of_the_templates_language_is_left(made: Made, row: Row) -> None:
    project = made(row)
    for name in files.names(project):
        assert not re.search(r"\{[{%#]|jinja$", name), name
        # Ansible speaks it too, and GitHub has ${{ }}.
        if not name.startswith(("delivery/", "buildbot/roles/")):
            text = (project / name).read_text(encoding="utf-8")
            templates = "src/" in name and "/templates/" in name
            assert templates or not re.search(r"(?<!\$)\{\{|\{%", text), name


def unused(project: Path) -> list[str]:
    """Name the files of a project that no other one mentions, and nobody looks for."""
    texts = {name: (project / name).read_text(encoding="utf-8") for name in files.names(project)}
    words = {name: set(re.findall(r"\w+", text)) for name, text in texts.items()}
    found = []
    for path in map(Path, texts):
        others = [other for other in texts if other != str(path)]
        code = path.suffix in (".py", ".yml")
        if (
            not KNOWN.fullmatch(str(path))
            and not any(path.name in texts[other] for other in others)
            and not (code and any(path.stem in words[other] for other in others))
        ):
            found.append(str(path))
    return found


@every_row
def test_every_file_is_used(made: Made, row: Row) -> None:
    assert unused(made(row)) == []


def test_a_file_that_nobody_uses_would_be_found(made: Made, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(made(ROWS[0]), project)
    for name in ("src/zebra.py", "delivery/roles/service/tasks/quagga.yml", "okapi.cfg"):
        (project / name).touch()
    assert len(unused(project)) == 3


@every_row
def test_its_yaml_is_in_form(made: Made, row: Row) -> None:
    project = made(row)
    for name in files.names(project):
        if name.endswith(".yml") and name != ".copier-answers.yml":
            text = (project / name).read_text(encoding="utf-8")
            assert not list(linter.run(text, YAML)), name


@every_row
def test_its_ci_files_have_the_form_of_their_system(made: Made, row: Row) -> None:
    project = made(row)
    for system, pattern, schema in FORMS:
        found = sorted(map(str, project.glob(pattern)))
        assert bool(found) is (row["ci"] in (system, "all"))
        if found:
            check = [str(BIN / "check-jsonschema"), "--builtin-schema", *schema]
            done = subprocess.run([*check, *found], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


@every_row
@pytest.mark.slow
def test_its_own_linter_and_mypy_are_content(made: Made, tools: Tools, row: Row) -> None:
    project = made(row)
    place = tools(project, row["flavour"])
    lint = files.toml(project, "tox.toml")["env"]["lint"]
    assert lint["dependency_groups"] == ["lint"]
    source = lint.get("set_env", {}).get("PYTHONPATH", "").replace("{tox_root}{/}", "")
    env = {**os.environ, "MYPY_CACHE_DIR": str(place.parent / "mypy"), "PYTHONPATH": source}
    assert lint["commands"][-1][0] == "mypy"
    for program, *arguments in lint["commands"]:
        if program == "python":  # the CI files: tests/ci compares them
            continue
        done = subprocess.run(
            [str(place / program), *arguments],
            cwd=project,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


# What each part of a linter is there for: bugbear, comprehensions, naming, simplify, and form.
SLIPS = f'''\
"""Slips."""

import os
import ast

def Loud(names: list[str]=[]) -> tuple[int, str]:
    """Say it too loud."""
    told = dict(names=names, here=os.name, tree=ast.dump)
    if told:
        size = 1
    else:
        size = 2
    return size, "{100 * 'x'}"
'''
CODES = {"B006", "C408", "E501", "N802", "SIM108"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flake8", "ruff"])
def test_its_own_linter_names_each_slip(
    made: Made, tools: Tools, tmp_path: Path, name: str
) -> None:
    row = next(row for row in ROWS if (row["linter"], row["flavour"]) == (name, "library"))
    project = tmp_path / "project"
    shutil.copytree(made(row), project)
    (project / "tests" / "unit" / "test_slips.py").write_text(SLIPS)
    place, said, red = tools(project, "library"), "", set()
    for program, *arguments in files.toml(project, "tox.toml")["env"]["lint"]["commands"]:
        if program not in ("mypy", "python"):
            command = [str(place / program), *arguments]
            done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
            said += done.stdout + done.stderr
            red |= {(program, arguments[0])} if done.returncode else set()
    whole = {"flake8": {"black", "flake8", "isort"}, "ruff": {"check", "format"}}
    assert {program if name == "flake8" else part for program, part in red} == whole[name], said
    assert set(re.findall(r"\b[A-Z]+\d{3}\b", said)) >= CODES, said
    assert re.search("I001|Imports are incorrectly sorted|^-import os", said, re.MULTILINE), said


@pytest.mark.slow
def test_its_ansible_is_fit_for_production(made: Made, tmp_path: Path) -> None:
    """Of every project with a file that none before it has."""
    env = {**os.environ, "ANSIBLE_CONFIG": "delivery/ansible.cfg", "HOME": str(tmp_path)}
    env["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    seen: set[tuple[str, bytes]] = set()
    for number, row in enumerate(ROWS):
        found = {
            (name, (made(row) / name).read_bytes())
            for name in files.names(made(row))
            if name.endswith(".yml") and name.startswith(("delivery/", "buildbot/"))
        }
        if found <= seen:
            continue
        seen |= found
        project = tmp_path / str(number)
        shutil.copytree(made(row), project)
        subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
        parts = sorted({name.split("/")[0] for name, _ in found})
        lint = [str(BIN / "ansible-lint"), "--offline", "--profile=production", *parts]
        done = subprocess.run(
            lint, cwd=project, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
