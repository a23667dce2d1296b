"""A Debian package of a release, in ``build``: ``tox run -e deb``.

Its virtual environment lies below ``/opt``, and systemd runs it as it runs a release of the role.
It is for the Debian that it is made on, because it runs on the Python of that.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from .. import tools
from ..artifact import wheel
from ..artifact.wheel import Artifact
from ..errors import DeliveryError
from ..project import Project
from . import main, run

PYTHON = "/usr/bin/python3"
PARTS = Path(__file__).with_name("debian")
HARDENING = Path("delivery/roles/service/templates/hardening.j2")
# What uv leaves in an environment, and nobody needs there.
LEFT = (".gitignore", ".lock", "CACHEDIR.TAG")
# Of PEP 440, in this order: what it becomes sorts the same among Debian's versions.
SPELLING = (("!", ":"), (r"(a|b|rc)(?=\d)", r"~\1"), (r"\.post", "+post"), (r"\.dev", "~~dev"))


def debian(version: str) -> str:
    """Return the Debian version that sorts as one of PEP 440 does; what follows + has no order.

    >>> debian("1.2.dev3+gabc"), debian("1!1.2rc1"), debian("1.2.post1.dev3+gabc")
    ('1.2~~dev3+gabc', '1:1.2~rc1', '1.2+post1~~dev3+gabc')
    """
    public, plus, local = version.partition("+")
    for pattern, spelling in SPELLING:
        public = re.sub(pattern, spelling, public)
    return public + plus + local


def build(project: Project, artifact: Artifact, folder: Path, options: list[str]) -> None:
    """Build the package.

    Args:
        project: the project.
        artifact: what it is made of.
        folder: where that is, with what it needs.
        options: more for dpkg-deb, like ``-Zxz``.

    Raises:
        DeliveryError: the system's Python is missing or too old, or a step failed.
    """
    name, version = project.config.name, debian(artifact.version)
    epoch = project.git.text("show", "-s", "--format=%ct", artifact.commit)
    python = interpreter(project.config.python)
    with tempfile.TemporaryDirectory(prefix="delivery-") as scratch:
        tree = Path(scratch, "tree")
        home = tree / "opt" / name
        install(tools.uv(project.config.root), folder, home)
        # By their content, not by their time: it says the same on every day it is made.
        by_content = ["--invalidation-mode=unchecked-hash", "-s", str(tree), "-p", "/"]
        run([PYTHON, "-I", "-m", "compileall", "-q", *by_content, home / "lib"])
        machine = architecture(tree)
        words = about(folder / artifact.wheel) | {
            "NAME": name,
            "VERSION": version,
            "ARCHITECTURE": machine,
            "SIZE": str(sum(path.lstat().st_size for path in tree.rglob("*")) // 1024),
            "DEPENDS": ", ".join([*depends(*python), *project.config.system]),
            "HARDENING": (project.config.root / HARDENING).read_text(encoding="utf-8"),
        }
        script = f"opt/{name}/bin/{name}-migrate"
        words["MIGRATION"] = f"ExecStartPre=/{script}" if (tree / script).exists() else ""
        write(tree, words)
        place = project.config.root / "build"
        place.mkdir(exist_ok=True)
        file = f"{name}_{version.partition(':')[2] or version}_{machine}.deb"
        command = ["dpkg-deb", "--root-owner-group", *options, "--build", str(tree)]
        run([*command, Path(scratch, file)], SOURCE_DATE_EPOCH=epoch)
        Path(scratch, file).replace(place / file)
    print(f"build/{file}")


def interpreter(floor: tuple[int, int]) -> tuple[int, int]:
    """Return the version of the system's Python.

    Raises:
        DeliveryError: there is none, or the project needs a newer one.
    """
    said = run([PYTHON, "-I", "-c", "import sys; print(*sys.version_info[:2])"])
    major, minor = map(int, said.split())
    if (major, minor) < floor:
        raise DeliveryError(
            f"{PYTHON} is Python {major}.{minor}, and this project needs"
            f" {floor[0]}.{floor[1]}: make the package on a newer Debian"
        )
    return major, minor


def install(uv: str, folder: Path, home: Path) -> None:
    """Install the release into a virtual environment that may be moved, hash by hash."""
    run([uv, "venv", "--quiet", "--no-project", "--relocatable", f"--python={PYTHON}", home])
    into = f"--python={home / 'bin/python'}"
    command: list[str | Path] = [uv, "pip", "install", "--quiet", into, "--link-mode=copy"]
    command += ["--no-deps", "--require-hashes"]
    run([*command, f"--requirements={folder / 'requirements.txt'}"])
    own = ["--no-index", f"--find-links={folder}", f"--requirements={folder / 'wheel.txt'}"]
    run([*command, *own])
    run([uv, "pip", "check", "--quiet", into])
    for name in LEFT:
        (home / name).unlink(missing_ok=True)
    # It tells the time of day, and nothing but uv reads it.
    for note in home.glob("lib/*/site-packages/*/uv_cache.json"):
        record = note.with_name("RECORD")
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in lines if f"/{note.name}," not in line))
        note.unlink()
    (home / "release.json").write_bytes((folder / "release.json").read_bytes())


def depends(major: int, minor: int) -> list[str]:
    """Return the packages of the Python that it runs on: compiled modules are for one minor."""
    return [f"python3 (>= {major}.{minor})", f"python3 (<< {major}.{minor + 1})"]


def architecture(tree: Path) -> str:
    """Return which machines it is for: one kind if there is something compiled in it."""
    compiled = any(tree.rglob("*.so")) or any(tree.rglob("*.so.*"))
    return run(["dpkg", "--print-architecture"]) if compiled else "all"


def about(file: Path) -> dict[str, str]:
    """Return what a wheel tells of itself."""
    told = wheel.metadata(file)
    author = told.get("Author-email") or told.get("Author") or told["Name"]
    return {"MAINTAINER": author, "SUMMARY": told.get("Summary", told["Name"])}


def write(tree: Path, words: dict[str, str]) -> None:
    """Write what dpkg and systemd have to know of it, with words in their places."""
    name = words["NAME"]
    unit = f"usr/lib/systemd/system/{name}.service"
    places = {"service": unit, "ready.py": f"opt/{name}/ready.py"}
    for part in PARTS.iterdir():
        if not part.is_file():  # what Python leaves beside code
            continue
        text = part.read_text(encoding="utf-8")
        text = re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], text)
        place = tree / places.get(part.name, f"DEBIAN/{part.name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        place.chmod(0o755 if text.startswith("#!") else 0o644)


if __name__ == "__main__":
    sys.exit(main(build))
