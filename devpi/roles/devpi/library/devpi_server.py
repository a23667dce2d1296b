"""Ansible's door to a devpi server: which programs and which state are live on a host.

A generation is a folder with two links: `venv`, the programs, and `server`, the state. The link
`live` names the one that runs. A new generation is made beside it and becomes live by one rename;
if it does not answer then, `live` goes back. So no server is ever half imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from devpi_host import LIVE, ROOT, STATE, USER, Failed, ask, run
else:
    from ansible.module_utils.devpi_host import LIVE, ROOT, STATE, USER, Failed, ask, run

GENERATIONS, VENVS = ROOT / "generations", ROOT / "venvs"
STATES, BACKUPS = STATE / "states", STATE / "backups"
SECRET = STATE / "secret"
INDEX = "dataindex.json"  # what devpi-export writes last


def main() -> None:
    """Make the server of the given pins live."""
    arguments = {
        "pins": {"required": True},
        "restore": {"default": ""},
        "seconds": {"type": "float", "default": 120.0},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    key = hashlib.sha256(f"{module.params['pins']} {sys.version}".encode()).hexdigest()[:12]
    try:
        what = settle(VENVS / key, module.params["restore"], module.params, module.check_mode)
    except (Failed, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(what), what=what)


def settle(venv: Path, restore: str, params: dict[str, float], check: bool) -> str:
    """Make a server with these programs live, and return what was done, if anything.

    Raises:
        Failed: it could not be done; what was live before is live.
    """
    there, seconds = LIVE.exists(), params["seconds"]
    origin = LIVE / "origin"
    if restore and there and not (origin.exists() and origin.read_text() == restore):
        raise Failed(
            f"There is a server on this host already, and devpi_restore is for one that has none:"
            f" to go back to {restore} all the same, stop devpi and remove {LIVE} first"
        )
    if restore and not there and not Path(restore, INDEX).is_file():
        raise Failed(f"devpi_restore: {restore} on the host is no whole export, with a {INDEX}")
    if there and (LIVE / "venv").resolve() == venv:
        if answers():
            return ""
        if not check:
            start(seconds)
        return "devpi is up"
    old = version((LIVE / "venv").resolve()) if there else ""
    if check:
        return "another devpi, or other libraries, would be installed"
    install(venv)
    new = version(venv)
    if old == new:
        what = f"devpi {new} has other libraries"
        change(venv, lambda _: (LIVE / "server").resolve(), seconds)
    elif there:
        what = f"devpi {old} became {new}, by export and import"
        change(venv, lambda goal: import_(venv, export(), goal), seconds)
    elif restore:
        what = f"devpi {new} has what is in {restore}"
        give(Path(restore))
        change(venv, lambda goal: import_(venv, Path(restore), goal), seconds, restore)
    else:
        what = f"devpi {new} is new"
        change(venv, lambda goal: init(venv, goal), seconds)
    clean()
    return what


def install(venv: Path) -> None:
    """Make the environment that has the pins, and nothing else."""
    if (venv / "complete").exists():
        return
    run([sys.executable, "-m", "venv", "--clear", venv], root=True)
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-cache-dir", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    run([*pip, f"--requirement={ROOT / 'requirements.txt'}"], root=True)
    (venv / "complete").touch()


def version(venv: Path) -> str:
    """Return the version of the devpi-server that an environment has."""
    found = [path.name for path in venv.glob("lib/python*/site-packages/devpi_server-*.dist-info")]
    return found[0].removesuffix(".dist-info").partition("-")[2] if found else ""


def change(venv: Path, make: Callable[[Path], Path], seconds: float, origin: str = "") -> None:
    """Make a generation live.

    Args:
        venv: its programs.
        make: makes its state in a folder that is not there yet; returns where it is.
        seconds: until it has to answer.
        origin: the export that it comes from.

    Raises:
        Failed: it did not answer, or was not made. The one before is live.
    """
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    before = os.readlink(LIVE) if LIVE.exists() else ""
    made, state = GENERATIONS / name, STATES / name
    try:
        # Nobody may upload what the export would not have.
        run(["systemctl", "stop", "devpi.service"], root=True)
        run(["mkdir", "--parents", STATES, BACKUPS])
        made.mkdir(parents=True)
        (made / "venv").symlink_to(venv)
        (made / "server").symlink_to(make(state))
        (made / "origin").write_text(origin)
        if not SECRET.exists():
            run([venv / "bin/devpi-gen-secret", "--secretfile", SECRET])
        point(str(made))
        start(seconds)
    except (Failed, OSError) as error:
        run(["systemctl", "stop", "devpi.service"], root=True)
        left = "There is no server yet, and nothing is left of this one."
        if before:
            left = "The server is as it was."
            point(before)
            start(seconds)
        else:
            LIVE.unlink(missing_ok=True)
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)
        raise Failed(f"{error}. {left}") from None


def point(target: str) -> None:
    """Let `live` name a generation, by one rename."""
    new = LIVE.with_name("live.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(LIVE)


def start(seconds: float) -> None:
    """Start the server and wait until it answers."""
    run(["systemctl", "start", "devpi.service"], root=True)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if answers():
            return
        time.sleep(0.2)
    raise Failed(f"devpi did not answer within {seconds:g} s: journalctl --unit=devpi says why")


def answers() -> bool:
    """Tell whether the server does."""
    with contextlib.suppress(OSError):
        return ask("GET", "/+api")[0] == 200
    return False


def init(venv: Path, goal: Path) -> Path:
    """Make an empty state."""
    run([venv / "bin/devpi-init", "--serverdir", goal, "--no-root-pypi"])
    return goal


def export() -> Path:
    """Return a new backup of what is live."""
    try:
        run(["systemctl", "start", "devpi-backup.service"], root=True)
    except Failed:
        raise Failed("The export failed: journalctl --unit=devpi-backup says why") from None
    return max(BACKUPS.iterdir())


def import_(venv: Path, source: Path, goal: Path) -> Path:
    """Make a state of an export."""
    words = [venv / "bin/devpi-import", "--serverdir", goal, "--no-root-pypi"]
    # Links only where files are ours, and on the same disk.
    link = ["--hard-links"] if source.parent == BACKUPS else []
    run([*words, *link, source])
    return goal


def give(folder: Path) -> None:
    """Let the server's user read an export."""
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, USER, USER)


def clean() -> None:
    """Remove programs and states that are not live."""
    keep = {LIVE.resolve(), (LIVE / "venv").resolve(), (LIVE / "server").resolve()}
    for folder in (GENERATIONS, VENVS, STATES):
        for path in folder.iterdir():
            if path not in keep:
                shutil.rmtree(path)


if __name__ == "__main__":
    main()
