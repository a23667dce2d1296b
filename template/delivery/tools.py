"""tox, the pipeline's hands: pinned by ``requirements/tools.txt``, made once per content of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from .errors import DeliveryError

PINS = Path("requirements", "tools.txt")


def tox(root: Path) -> list[str]:
    """Return the command line of the project's own tox, making it first where it is missing.

    Args:
        root: the project's top folder.

    Raises:
        DeliveryError: this Python cannot make virtual environments, or the index is out of reach.
    """
    pins = root / PINS
    name = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = root / ".delivery" / f"tools-{name}"
    python, done = folder / "bin" / "python", folder / "complete"
    if not done.exists():
        print("making the project's tools (tox), once …", file=sys.stderr, flush=True)
        for old in folder.parent.glob("tools-*"):
            shutil.rmtree(old)
        try:
            fill(folder, ["--require-hashes", "-r", str(pins)])
        except (subprocess.CalledProcessError, OSError) as error:
            raise DeliveryError(
                f"the tools in {PINS} cannot be installed ({error}): look above; Debian needs"
                " apt-get install python3-venv, and everywhere a package index within reach"
            ) from None
        done.touch()
    return [str(python), "-m", "tox", "-c", str(root / "tox.toml")]


def fill(folder: Path, *installs: list[str]) -> None:
    """Make a virtual environment, by uv where it is there, else by pip; none is left half made.

    Args:
        folder: where it shall be.
        installs: one list of pip's arguments for each call of it.

    Raises:
        OSError: this Python cannot make virtual environments.
        subprocess.CalledProcessError: something cannot be installed; the output says what.
    """
    uv, python = shutil.which("uv"), str(folder / "bin" / "python")
    pip = [uv, "pip", "install", "--compile-bytecode"] if uv else [python, "-m", "pip", "install"]
    into = ["--python", python, "--quiet"] if uv else ["--quiet"]
    try:
        venv.create(folder, with_pip=uv is None, symlinks=True)
        for arguments in installs:
            subprocess.run([*pip, *into, *arguments], check=True, stdin=subprocess.DEVNULL)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def ansible_playbook() -> Path | None:
    """Return the ``ansible-playbook`` of the tox environment this runs in; None outside of one."""
    path = Path(sys.executable).with_name("ansible-playbook")
    return path if path.exists() else None


def inside(root: Path, environment: str, arguments: list[str]) -> int:
    """Run ``python -m delivery ARGUMENTS`` inside a tox environment; return its exit status.

    Args:
        root: the project's top folder.
        environment: the tox environment's name.
        arguments: what follows ``python -m delivery``.
    """
    command = [*tox(root), "exec", "-qq", "-e", environment, "--skip-pkg-install", "--"]
    done = subprocess.run(
        [*command, "python", "-m", "delivery", *arguments],
        cwd=root,
        env=dict(os.environ),
        check=False,
    )
    return done.returncode
