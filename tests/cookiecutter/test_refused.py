"""What cannot become a project is refused with a sentence, and leaves nothing behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cookiecutter.conftest import Door, Files, made

BAD = {
    "project_name=class": "which has a Python keyword; choose another name.",
    "project_name=../up": "Use ASCII letters and digits",
    f"project_name={300 * 'x'}": "at most",
    "ci=cron": "Invalid choice for 'ci'",
    "_command_name=parcel": "Only a command has that; leave it out for a service.",
}


@pytest.mark.parametrize("answer", BAD)
def test_a_bad_answer(door: Door, skeleton: Path, tmp_path: Path, answer: str) -> None:
    output = tmp_path / "inner" / "output"
    output.mkdir(parents=True)
    done = door(skeleton, answer, cwd=output)
    assert done.returncode == 1
    assert BAD[answer] in done.stderr
    assert "copier/_main.py" not in done.stderr
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [
        "inner",
        "inner/output",
    ]


@pytest.mark.parametrize("option", [[], ["--overwrite-if-exists"]])
def test_a_folder_that_exists(
    door: Door, skeleton: Path, tmp_path: Path, option: list[str]
) -> None:
    theirs = tmp_path / "hello-delivery"
    theirs.mkdir()
    (theirs / "README.md").write_text("# Theirs\n")
    done = door(skeleton, *option)
    assert done.returncode == 1
    assert "not empty and stays" in done.stderr if option else "already exists" in done.stdout
    assert [path.name for path in theirs.iterdir()] == ["README.md"]
    assert (theirs / "README.md").read_text() == "# Theirs\n"


def test_an_unknown_version_is_copiers_sentence(door: Door, skeleton: Path, tmp_path: Path) -> None:
    done = door(skeleton, "--checkout", "v9")
    assert done.returncode == 1
    assert done.stderr.startswith("Unknown revision: 'v9'")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="session")
def bare(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has Cookiecutter, and no Copier."""
    folder = tmp_path_factory.mktemp("bare")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    install = [*uv, "pip", "install", "--quiet", f"--python={folder}", "cookiecutter"]
    locked = f"--constraint={root / 'requirements' / 'dev.txt'}"
    subprocess.run([*install, locked], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with git, what git's scripts call, and nothing else."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("git", "sh", "basename", "dirname", "realpath", "sed", "uname"):
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return folder


@pytest.mark.parametrize("old", [False, True])
def test_no_copier(
    door: Door, skeleton: Path, bare: Path, tools: Path, tmp_path: Path, old: bool
) -> None:
    if old:
        (tools / "copier").write_text("#!/bin/sh\necho copier 9.4.1\n")
        (tools / "copier").chmod(0o755)
    done = door(skeleton, typed="", python=bare, PATH=str(tools))
    assert done.returncode == 1
    assert done.stderr == (
        "Copier 9.19.0 or newer renders this project, and there is none: get it with "
        "`uv tool install copier` or `pipx install copier`, then try again.\n"
    )
    assert "called" not in done.stdout
    assert list(tmp_path.iterdir()) == [tools]


@pytest.mark.parametrize("tool", ["copier", "uvx"])
def test_a_copier_from_elsewhere(
    door: Door, root: Path, skeleton: Path, default: Files, bare: Path, tools: Path, tool: str
) -> None:
    (tools / tool).symlink_to(Path(sys.executable).parent / tool)
    cache = subprocess.run(
        [sys.executable, "-m", "uv", "cache", "dir"], capture_output=True, text=True, check=True
    ).stdout.strip()
    locked = str(root / "requirements" / "dev.txt")
    uv = {"UV_CACHE_DIR": cache, "UV_CONSTRAINT": locked}
    done = door(skeleton, python=bare, PATH=str(tools), **uv)
    assert made(done, tools.parent / "hello-delivery") == default
