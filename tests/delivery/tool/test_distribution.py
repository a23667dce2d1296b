"""What a project of each kind builds: the same bytes anywhere, and what the strictest ask for."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from email.parser import HeaderParser
from pathlib import Path

import pytest
from delivery.artifact.wheel import build, digest
from delivery.git import Git

from tests.delivery.tool.conftest import Toy
from tests.render.conftest import render, template

__all__ = ["render", "template"]  # fixtures
KINDS = {
    "flask": {"framework": "flask"},
    "fastapi": {"framework": "fastapi", "license": "Apache-2.0"},
    "django": {"framework": "django", "license": "Proprietary"},
    "library": {"kind": "library", "import_name": "acme.billing"},
    "cli": {"kind": "cli", "license": "GPL-3.0-or-later"},
}
LICENSES = {"fastapi": "Apache-2.0", "django": "LicenseRef-Proprietary", "cli": "GPL-3.0-or-later"}
URL = "https://example.org/acme/billing"
# Loaded by every Python of a build: it is 40 days later, and folders list their files backwards.
ELSEWHERE = """\
import os, time
now, listdir, scandir = time.time, os.listdir, os.scandir
time.time = lambda: now() + 40 * 86_400
os.listdir = lambda *where: sorted(listdir(*where), reverse=True)
class Backwards:
    def __init__(self, *where):
        with scandir(*where) as found:
            self.found = iter(sorted(found, key=lambda entry: entry.name, reverse=True))
    def __iter__(self): return self.found
    def __next__(self): return next(self.found)
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def close(self): pass
os.scandir = Backwards
"""


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name a kind of project."""
    return str(request.param)


@pytest.fixture(scope="module")
def make(
    render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Toy]]:
    """Make the project of a kind, once, with its first version built."""
    made: dict[str, Toy] = {}

    def project(kind: str) -> Toy:
        if kind not in made:
            answers = {"author_email": "ada@example.org", "repository_url": URL, **KINDS[kind]}
            made[kind] = Toy(render(**answers))
            made[kind].git("init", "--quiet")
            made[kind].commit("Start")
            made[kind].git("tag", "1.2.0")
            build(Git(made[kind].root), made[kind].root / "dist")
        return made[kind]

    yield project


def files(project: Toy) -> tuple[Path, Path]:
    """Return a project's wheel and its sdist."""
    (wheel,), (sdist,) = ((project.root / "dist").glob(name) for name in ("*.whl", "*.tar.gz"))
    return wheel, sdist


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive; Python's own way differs between 3.11.2, 3.11.4 and 3.12."""
    command = ["tar", "--extract", f"--file={archive}", f"--directory={folder}"]
    subprocess.run([*command, "--no-same-owner", "--no-same-permissions"], check=True)


def epoch(project: Toy) -> dict[str, str]:
    """Return the environment of a build with the commit's own time."""
    return {**os.environ, "SOURCE_DATE_EPOCH": project.git("show", "-s", "--format=%ct")}


def wheel_of(source: Path, env: dict[str, str], to: Path) -> Path:
    """Build the wheel of a folder that has no git."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(to)]
    done = subprocess.run([*command, str(source)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = to.glob("*.whl")
    return wheel


def test_another_path_day_user_and_order_of_files_give_the_same_bytes(
    make: Callable[[str], Toy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make("flask")
    other = Toy(tmp_path / "another place")
    project.git("clone", "--quiet", str(project.root), str(other.root))
    (tmp_path / "sitecustomize.py").write_text(ELSEWHERE)
    (tmp_path / "locales").mkdir()
    compiled = ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(tmp_path / "locales/tr_TR.UTF-8")]
    subprocess.run(compiled, check=True)
    spoken = "import locale; print(locale.setlocale(locale.LC_ALL, ''))"
    strange = {
        "HOME": str(tmp_path),
        "LC_ALL": "tr_TR.UTF-8",
        "LOCPATH": str(tmp_path / "locales"),
        "LOGNAME": "somebody",
        "PYTHONHASHSEED": "4711",
        "PYTHONPATH": str(tmp_path),
        "TZ": "Pacific/Kiritimati",
        "USER": "somebody",
    }
    for name, value in strange.items():
        monkeypatch.setenv(name, value)
    said = subprocess.check_output([sys.executable, "-c", spoken], text=True)
    assert said == "tr_TR.UTF-8\n"
    before = os.umask(0o077)
    try:
        build(Git(other.root), other.root / "dist")
    finally:
        os.umask(before)
    assert [digest(path) for path in files(other)] == [digest(path) for path in files(project)]
    with tarfile.open(files(other)[1]) as sdist:
        owners = {(m.uid, m.gid, m.uname, m.gname) for m in sdist.getmembers()}
    assert owners == {(0, 0, "", "")}


def test_the_sdist_builds_the_same_wheel_without_git(
    make: Callable[[str], Toy], tmp_path: Path
) -> None:
    wheel, sdist = files(make("flask"))
    unpack(sdist, tmp_path)
    (source,) = tmp_path.iterdir()
    again = wheel_of(source, epoch(make("flask")), tmp_path / "dist")
    assert (again.name, digest(again)) == (wheel.name, digest(wheel))


@pytest.mark.parametrize("later", [False, True], ids=["of a tag", "of a commit after it"])
def test_an_archive_of_git_builds_the_same_wheel(
    make: Callable[[str], Toy], tmp_path: Path, later: bool
) -> None:
    project = make("flask")
    if later:
        project, tagged = Toy(tmp_path / "later"), project
        tagged.git("clone", "--quiet", str(tagged.root), str(project.root))
        project.commit()
        built = build(Git(project.root), project.root / "dist")
        assert built.version.startswith("1.2.0.post1.dev1+g")
    project.git("archive", "--output", str(tmp_path / "source.tar"), "HEAD")
    (tmp_path / "source").mkdir()
    unpack(tmp_path / "source.tar", tmp_path / "source")
    again = wheel_of(tmp_path / "source", epoch(project), tmp_path / "dist")
    wheel, _ = files(project)
    assert (again.name, digest(again)) == (wheel.name, digest(wheel))


def test_the_strictest_judges_find_nothing(make: Callable[[str], Toy], kind: str) -> None:
    project = make(kind)
    tools, (wheel, sdist) = Path(sys.executable).parent, files(project)
    judges = {
        "twine": ["check", "--strict", str(wheel), str(sdist)],
        # Django numbers its migrations: no other module has a name that cannot be imported.
        "check-wheel-contents": [*(["--ignore=W004"] if kind == "django" else []), str(wheel)],
        "validate-pyproject": ["pyproject.toml"],
        "pyroma": ["--min=10", "."],
    }
    for judge, arguments in judges.items():
        done = subprocess.run(
            [tools / judge, *arguments], cwd=project.root, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{judge}: {done.stdout}{done.stderr}"


def test_the_wheel_tells_its_licence_its_address_and_its_types(
    make: Callable[[str], Toy], kind: str
) -> None:
    wheel, _ = files(make(kind))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        told = HeaderParser().parsestr(archive.read(metadata).decode())
    assert told["License-Expression"] == LICENSES.get(kind, "MIT")
    assert told["License-File"] == "LICENSE"
    assert told["Project-URL"] == f"Repository, {URL}"
    assert [name for name in names if name.endswith("/py.typed")]
    assert not [name for name in names if name.startswith(("tests/", "delivery/", "docs/"))]
    private = "Private :: Do Not Upload" in told.get_all("Classifier", [])
    assert private == (kind == "django")
