"""The project's tools: made once for all clones, by one of those who want them, and never half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from delivery import tools
from delivery.errors import DeliveryError

from .conftest import TEMPLATE, pin

# A maker who says that it has begun, and never ends.
STUCK = """
import sys, time
from pathlib import Path
from delivery import tools

def fill(folder, *_):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    print("begun", flush=True)
    time.sleep(600)

tools.fill = fill
tools.tox(Path(sys.argv[1]))
"""


class Made:
    """Stands in for what fills a virtual environment: quick, or as slow as is wanted."""

    def __init__(self) -> None:
        self.folders: list[Path] = []
        self.seconds = 0.0

    def __call__(self, folder: Path, *_: list[str]) -> None:
        self.folders.append(folder)
        time.sleep(self.seconds)
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin" / "python").unlink(missing_ok=True)
        (folder / "bin" / "python").symlink_to(sys.executable)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """Return what tells which folders were filled."""
    found = Made()
    monkeypatch.setattr(tools, "fill", found)
    return found


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for tools of a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "delivery"


def clone(folder: Path, pins: str = "") -> Path:
    """Return a project's top folder, with pins of its tools."""
    for name in (tools.TOX, tools.COPIER, tools.BUILDBOT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(pins)
    return folder


def test_two_clones_share_them(tmp_path: Path, cache: Path) -> None:
    one, other = (tools.tox(clone(tmp_path / name))[0] for name in ("one", "other"))
    assert one == other and Path(one).is_relative_to(cache)
    prefix = subprocess.check_output([one, "-c", "import sys; print(sys.prefix)"], text=True)
    assert prefix.strip() == str(Path(one).parents[1])
    assert not (tmp_path / "one" / ".delivery").exists()


def test_other_pins_and_another_python_are_others(
    tmp_path: Path, cache: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {tools.tox(clone(tmp_path / "one"))[0], tools.tox(clone(tmp_path / "two", "a==1"))[0]}
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version", "4.0")
        found.add(tools.tox(tmp_path / "one")[0])
    (tmp_path / "python").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    found.add(tools.tox(tmp_path / "one")[0])
    assert len(found) == len(made.folders) == 4


def test_of_those_who_want_them_at_once_one_makes_them(
    tmp_path: Path, cache: Path, made: Made
) -> None:
    made.seconds, found = 0.5, list[bool]()

    def want(root: Path) -> None:
        python = Path(tools.tox(root)[0])
        found.append((python.parents[1] / "complete").exists())

    threads = [
        threading.Thread(target=want, args=[clone(tmp_path / str(number))]) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
    assert len(made.folders) == 1


def test_what_a_killed_maker_left_is_made_anew(tmp_path: Path, cache: Path, made: Made) -> None:
    root, env = clone(tmp_path / "one"), {**os.environ, "PYTHONPATH": str(TEMPLATE)}
    command = [sys.executable, "-c", STUCK, str(root)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout and maker.stdout.readline() == "begun\n"
        waiting = threading.Thread(target=tools.tox, args=[root])
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive() and not made.folders  # what is half made is not taken
        maker.send_signal(signal.SIGKILL)
        waiting.join(30)
    (folder,) = made.folders
    assert (folder / "complete").exists()


def test_what_cannot_be_made_leaves_nothing_to_take(
    tmp_path: Path, cache: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(folder: Path, *_: list[str]) -> None:
        made(folder)
        raise OSError("no space")

    root = clone(tmp_path / "one")
    with monkeypatch.context() as patch:
        patch.setattr(tools, "fill", fill)
        with pytest.raises(DeliveryError, match="cannot be installed .no space."):
            tools.tox(root)
    tools.tox(root)
    assert len(made.folders) == 2


def test_after_their_python_was_removed_they_are_made_anew(
    tmp_path: Path, cache: Path, made: Made
) -> None:
    python = Path(tools.tox(clone(tmp_path / "one"))[0])
    python.unlink()
    python.symlink_to(tmp_path / "gone")
    assert tools.tox(tmp_path / "one")[0] == str(python)
    assert len(made.folders) == 2 and python.exists()


def test_where_the_home_cannot_be_written_they_are_in_the_clone(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    root = clone(tmp_path / "one")
    for _ in range(2):
        assert Path(tools.tox(root)[0]).is_relative_to(root / ".delivery")
    assert len(made.folders) == 1


HOMELESS = """
import os, pwd, sys
from pathlib import Path
from delivery import config, tools
from delivery.artifact import credentials, index

os.environ.pop("HOME", None)
def nobody(_): raise KeyError
pwd.getpwuid = pwd.getpwnam = nobody
assert credentials.find("https://index.example.org", "team") is None
root = Path(sys.argv[1])
for ask in (config.data_home, lambda: tools.tox(root), lambda: index.at("~/index", root)):
    try:
        ask()
    except tools.UsageError as error:
        print(error)
"""


def test_without_a_home_it_says_what_to_set(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(TEMPLATE)}
    command = [sys.executable, "-c", HOMELESS, str(clone(tmp_path / "one"))]
    said = subprocess.check_output(command, env=env, text=True).splitlines()
    assert said == [
        *["nobody knows the home folder of this user: set HOME"] * 2,
        "delivery.toml: nobody knows whose home ~/index begins with: name a folder",
    ]


def test_a_cache_whose_path_is_relative_is_none(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.chdir(tmp_path)
    assert Path(tools.tox(clone(tmp_path / "one"))[0]).is_relative_to(tmp_path / "home/.cache")
    assert not (tmp_path / "cache").exists()


def test_where_there_is_no_uv_pip_makes_them_and_uv_is_one_of_them(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(tmp_path / "one")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    python, *words = tools.tox(tmp_path / "one")
    assert Path(python).is_relative_to(cache)
    assert Path(python).with_name("pip").exists()  # uv would have left it out
    said = subprocess.check_output([python, *words[:2], "--version"], text=True).split()[0]
    assert f"\ntox=={said} " in (tmp_path / "one" / tools.TOX).read_text()
    assert tools.uv(tmp_path / "one") == str(Path(python).with_name("uv"))


def test_a_cache_of_somebody_else_is_left_alone(
    tmp_path: Path, cache: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, mine = clone(tmp_path / "one"), os.geteuid()
    python = tools.tox(root)[0]
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert tools.tox(root)[0] != python
    assert made.folders[-1].is_relative_to(root / ".delivery")


def test_where_nothing_can_be_written_it_says_so(
    tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    root = clone(tmp_path / "one")
    (root / ".delivery").touch()
    with pytest.raises(DeliveryError, match="cannot be written and locked: set XDG_CACHE_HOME"):
        tools.tox(root)


def test_what_nobody_used_for_long_goes_when_newer_ones_are_made(
    tmp_path: Path, cache: Path, made: Made
) -> None:
    old, held, used, other = (
        Path(found).parents[1]
        for found in (
            tools.tox(clone(tmp_path / "old", "a==1"))[0],
            tools.tox(clone(tmp_path / "held", "a==2"))[0],
            tools.tox(clone(tmp_path / "used", "a==3"))[0],
            tools.copier(clone(tmp_path / "other", "a==4"))[0],
        )
    )
    long_ago = time.time() - tools.UNUSED - 60
    for folder in (old, held, used, other):
        os.utime(f"{folder}.lock", (long_ago, long_ago))
    tools.tox(tmp_path / "used")
    with tools._held([cache], held.name):
        os.utime(f"{held}.lock", (long_ago, long_ago))
        tools.tox(clone(tmp_path / "new", "a==5"))
    assert [folder.exists() for folder in (old, held, used, other)] == [False, True, True, True]
    tools.tox(tmp_path / "old")
    assert old.exists()


def test_buildbot_is_in_the_clone_for_a_master_runs_on(
    tmp_path: Path, cache: Path, made: Made
) -> None:
    root = clone(tmp_path / "one")
    assert tools.buildbot(root).is_relative_to(root / ".delivery")
    assert not cache.exists()
