"""A release is complete or it is not there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import worlds
from .errors import Refused
from .files import discard, read_json, write, write_json
from .layout import COMPLETE, Layout
from .lock import Lock

# What would make an installer put things elsewhere, or leave out the bytecode.
LEAKS = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "UV_CONSTRAINT")


@dataclass(frozen=True)
class Artifact:
    """A wheel that has to become a release, and the lock of what it needs."""

    name: str
    version: str
    sha256: str
    commit: str | None
    wheel: Path | None
    requirements: Path | None
    python: str | None = None
    packages: tuple[str, ...] = ()


def checked_digest(artifact: Artifact) -> Path:
    """Return the wheel, or refuse one that is not the artifact that was asked for."""
    if artifact.wheel is None or artifact.requirements is None:
        raise Refused(
            f"{artifact.name} {artifact.version} is not installed here, and no wheel came along:"
            " deploy it with service_wheel and service_requirements."
        )
    found = hashlib.sha256(artifact.wheel.read_bytes()).hexdigest()
    if found != artifact.sha256:
        raise Refused(
            f"{artifact.wheel.name} has sha256 {found} and not {artifact.sha256}:"
            " it is not the artifact that was tested; fetch it again from the index."
        )
    return artifact.wheel


def installed(layout: Layout, artifact: Artifact) -> bool:
    """Tell whether the release is complete; refuse another artifact of the same version."""
    marker = read_json(layout.complete(artifact.version))
    if not marker or "sha256" not in marker:
        return False
    if marker["sha256"] != artifact.sha256:
        raise Refused(
            f"{artifact.name} {artifact.version} is installed in {layout.root} with sha256"
            f" {marker['sha256']}, and now comes with {artifact.sha256}: one version is one"
            " artifact; commit, and build a version of its own."
        )
    return True


def install(layout: Layout, artifact: Artifact, lock: Lock) -> None:
    """Install a release in its final path, and mark it complete last."""
    wheel, release = checked_digest(artifact), layout.release(artifact.version)
    pins = f"{artifact.name} @ {wheel.resolve().as_uri()} --hash=sha256:{artifact.sha256}\n"
    assert artifact.requirements is not None
    locked = artifact.requirements.read_text(encoding="utf-8")
    locks = {"requirements.txt": locked, "wheel.txt": pins}
    make_venv(release, locks, lock, layout.uv, artifact.python)
    if not (release / "bin" / artifact.name).is_file():
        raise Refused(
            f"{wheel.name} has no console script named {artifact.name}: add it to"
            " [project.scripts] in pyproject.toml."
        )
    worlds.check(release)
    # The marker must not outlive files that a power cut takes.
    os.sync()
    write_json(
        release / COMPLETE,
        {
            "name": artifact.name,
            "version": artifact.version,
            "sha256": artifact.sha256,
            "commit": artifact.commit,
            "system": worlds.packages(artifact.packages),
        },
    )


def make_venv(
    folder: Path, locks: dict[str, str], lock: Lock, own: Path, python: str | None = None
) -> None:
    """Make a virtual environment of exactly what the locks name, hash by hash.

    ``own`` is the uv of our tools; where there is none, the host's does it, or Python's pip.
    """
    if python and shutil.which(python) is None:
        raise Refused(f"There is no service_python {python} on this host: install it, or name one.")
    discard(folder, COMPLETE)
    folder.parent.mkdir(parents=True, exist_ok=True)
    chosen = python or str(getattr(sys, "_base_executable", sys.executable))
    inside = str(folder / "bin/python")
    files = [part for name in locks for part in ("-r", str(folder / name))]
    exact = ["--require-hashes", "--no-deps", *files]
    # What our own uv fetches is in this folder only, and there only once.
    cache = folder / "cache"
    private = {"UV_CACHE_DIR": str(cache), "UV_LINK_MODE": "hardlink"} if own.is_file() else {}
    if uv := str(own) if private else find_uv():
        create = [uv, "venv", "--quiet", "--no-project", "--allow-existing", "--python", chosen]
        fill = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", inside, *exact]
        check = [uv, "pip", "check", "--quiet", "--python", inside]
    else:
        create = [chosen, "-m", "venv"]
        fill = [inside, "-m", "pip", "install", "--quiet", *exact]
        check = [inside, "-m", "pip", "check"]
    call([*create, str(folder)], folder, lock, private)
    for name, text in locks.items():
        write(folder / name, text)
    call(fill, folder, lock, private)
    call(check, folder, lock, private)
    discard(cache)


def find_uv() -> str | None:
    """Return the uv beside this Python, or else the one on the PATH."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv")


def call(command: list[str], folder: Path, lock: Lock, private: dict[str, str]) -> None:
    """Run a step of the installer."""
    environment = {name: text for name, text in os.environ.items() if name not in LEAKS}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    environment |= {"UV_PYTHON_DOWNLOADS": "never"} | private
    # An index that is away is told in seconds, not in minutes.
    environment = {"PIP_RETRIES": "2", "UV_HTTP_RETRIES": "2"} | environment
    status, output = lock.run(command, cwd=folder.parent, env=environment, stdout=subprocess.PIPE)
    if status:
        step = next(word for word in ("install", "check", "venv") if word in command)
        raise Refused(
            f"Installing {folder} failed ({step} ended with {status}): see the lines"
            " below, put that right, and deploy again.",
            output.splitlines()[-20:],
        )
