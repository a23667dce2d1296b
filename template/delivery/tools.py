"""The tools of the project's own, each pinned by a file and made once per content of it.

They are in the user's cache, for every clone; where nothing can be kept there, in the clone. Who
needs one takes its lock: one process makes it, those beside it wait. The kernel takes the lock back
from the dead, and without the mark ``complete`` it is made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import DeliveryError, UsageError

TOX = Path("requirements", "tools.txt")
COPIER = Path("delivery", "copier.txt")
BUILDBOT = Path("buildbot", "requirements.txt")
# What tox makes without a table of its own: Pythons.
UNTABLED = re.compile(r"(py|pypy|cpython)[\d.]*t?")
DAY = 24 * 3600.0  # seconds
UNUSED = 30 * DAY  # after that, tools go when newer ones are made


def tox(root: Path) -> list[str]:
    """Return the command line of the project's own tox, making it first where it is missing.

    Args:
        root: the project's top folder.

    Raises:
        DeliveryError: this Python cannot make virtual environments, or the index is out of reach.
    """
    return [str(_python(root, TOX, "tox")), "-m", "tox", "-c", str(root / "tox.toml")]


def uv(root: Path) -> str:
    """Return the path of uv: the one that came with the project's own tox, else that on the PATH.

    Raises:
        DeliveryError: there is neither.
    """
    beside = _python(root, TOX, "tox").with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise DeliveryError(f"uv is not here: add it to the group of {TOX}, or pip install uv")
    return found


def home() -> Path:
    """Return the user's home folder.

    Raises:
        UsageError: nobody knows it.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise UsageError("nobody knows the home folder of this user: set HOME") from None


def base(variable: str, *usual: str) -> Path:
    """Return a base folder of the user's (XDG): a relative one is not heeded, by its rules.

    Raises:
        UsageError: the variable says none, and nobody knows where the home folder is.
    """
    told = Path(os.environ.get(variable, ""))
    return told if told.is_absolute() else home().joinpath(*usual)


def environ() -> dict[str, str]:
    """Return our environment as the project's own tox shall see it.

    Where somebody's own tox runs us, the variables it made speak of its folders, not of ours.
    """
    theirs = ("TOX_", "_TOX_", "TOXENV")
    return {name: text for name, text in os.environ.items() if not name.startswith(theirs)}


def check_environments(root: Path, names: Iterable[str]) -> None:
    """See that ``tox.toml`` has the environments of stages.

    Raises:
        UsageError: it lacks one, or cannot be read.
    """
    path = root / "tox.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: each stage is one environment in it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    listed = table.get("env_list", [])
    known = {*table.get("env", {}), *(name for name in listed if isinstance(name, str))}
    for name in names:
        if name not in known and not UNTABLED.fullmatch(name):
            raise UsageError(
                f"delivery.toml has the stage {name}, and tox.toml no [env.{name}] that says what"
                " it runs: add it, or take the stage out"
            )


def copier(root: Path) -> list[str]:
    """Return the command line of the project's own Copier, as `tox` does for tox."""
    return [str(_python(root, COPIER, "copier")), "-m", "copier"]


def buildbot(root: Path) -> Path:
    """Return the path of the project's own Buildbot, made as `tox` is, but in the clone.

    A master runs on for months, and asks for its tools only once.
    """
    return _python(root, BUILDBOT, "buildbot", shared=False).with_name("buildbot")


def _python(root: Path, pins: Path, tool: str, shared: bool = True) -> Path:
    """Return the Python of the virtual environment that has exactly these pins."""
    try:
        content = (root / pins).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{root / pins} is missing: it pins {tool}; git log -- {pins}") from None
    content += f"{sys.version} {Path(sys.executable).resolve()}".encode()
    name = f"tools-{tool}-{hashlib.sha256(content).hexdigest()[:12]}"
    cache = base("XDG_CACHE_HOME", ".cache")
    places = [root / ".delivery"]
    with _held([cache / "delivery", *places] if shared else places, name) as folder:
        python, done = folder / "bin" / "python", folder / "complete"
        if not (done.exists() and python.exists()):  # a Python that went leaves links to it
            print(f"making the project's tools ({tool}), once …", file=sys.stderr, flush=True)
            try:
                done.unlink(missing_ok=True)
                fill(folder, ["--require-hashes", "-r", str(root / pins)])
                done.touch()
            except (subprocess.CalledProcessError, OSError) as error:
                raise DeliveryError(
                    f"the tools in {pins} cannot be installed ({error}): look above; Debian needs"
                    " apt-get install python3-venv, and everywhere a package index within reach"
                ) from None
            _forget(folder.parent, tool)
    return python


@contextlib.contextmanager
def _held(places: Iterable[Path], name: str) -> Iterator[Path]:
    """Yield a folder in the first place that we may write to; nobody else is in it meanwhile."""
    with contextlib.ExitStack() as stack:
        for place in places:
            with contextlib.suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
                if place.name == "delivery" and place.stat().st_uid != os.geteuid():
                    continue  # what somebody else put there would run as us
                lock = stack.enter_context((place / f"{name}.lock").open("a"))
                fcntl.flock(lock, fcntl.LOCK_EX)
                if time.time() - os.fstat(lock.fileno()).st_mtime > DAY:
                    os.utime(lock.fileno())
                break
        else:
            raise DeliveryError(f"{place} cannot be written and locked: set XDG_CACHE_HOME")
        yield place / name


def _forget(place: Path, tool: str) -> None:
    """Remove what nobody has used for long of the same tool, whole or half made."""
    for path in place.glob(f"tools-{tool}-*.lock"):
        with contextlib.suppress(OSError), path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(lock.fileno()).st_mtime > UNUSED:
                (path.with_suffix("") / "complete").unlink(missing_ok=True)
                shutil.rmtree(path.with_suffix(""))


def fill(folder: Path, *installs: list[str]) -> None:
    """Make a virtual environment, by uv where it is there, else by pip; none is left half made.

    Args:
        folder: where it shall be.
        installs: one list of pip's arguments for each call of it.

    Raises:
        OSError: this Python cannot make virtual environments.
        subprocess.CalledProcessError: something cannot be installed; the output says what.
    """
    import venv  # slow to load, and seldom needed

    uv, python = shutil.which("uv"), str(folder / "bin" / "python")
    pip = [uv, "pip", "install", "--compile-bytecode"] if uv else [python, "-m", "pip", "install"]
    into = ["--python", python, "--quiet"] if uv else ["--quiet"]
    try:
        venv.create(folder, clear=True, with_pip=uv is None, symlinks=True)
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
    """Run ``python3 -m delivery ARGUMENTS`` inside a tox environment; return its exit status.

    Args:
        root: the project's top folder.
        environment: the tox environment's name.
        arguments: what follows ``python3 -m delivery``.
    """
    command = [*tox(root), "exec", "-qq", "-e", environment, "--skip-pkg-install", "--"]
    done = subprocess.run(
        [*command, "python", "-m", "delivery", *arguments],
        cwd=root,
        env=environ(),
        check=False,
    )
    return done.returncode
