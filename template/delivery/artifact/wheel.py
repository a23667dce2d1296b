"""The artifact: one wheel per commit, built once, known by its sha256 ever after."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DeliveryError, Refused
from ..git import Git

if TYPE_CHECKING:
    from email.message import Message

LOCK = (
    "requirements/prod.txt"  # what a release installs beside the wheel, of the wheel's own commit
)


@dataclass(frozen=True)
class Artifact:
    """One wheel.

    Attributes:
        wheel: its file name.
        version: its version (PEP 440).
        sha256: its digest, in hexadecimal.
        commit: the full hash of the commit it was built from.
    """

    wheel: str
    version: str
    sha256: str
    commit: str


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def metadata(wheel: Path) -> dict[str, str]:
    """Return the headers of a wheel's METADATA, first of each name (core metadata specification).

    Raises:
        DeliveryError: the file is no wheel.
    """
    headers = _headers(wheel)
    return {key: str(headers[key]) for key in headers}


def requirements(wheel: Path) -> list[str]:
    """Return the names of what a wheel requires, extras left out.

    Raises:
        DeliveryError: the file is no wheel.
    """
    wanted = [str(line) for line in _headers(wheel).get_all("Requires-Dist", [])]
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in wanted if "extra ==" not in line)
    return [name[0] for name in names if name]


def _headers(wheel: Path) -> Message:
    from email.parser import HeaderParser  # slow to load, and status reads no wheel

    try:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            return HeaderParser().parsestr(archive.read(name).decode("utf-8"))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DeliveryError(f"{wheel} is no wheel: {error}") from None


def build(git: Git, dist: Path) -> Artifact:
    """Build the commit that is checked out, from a clean clone of it, into ``dist``.

    It makes the sdist and, from nothing but that, the wheel. The same commit gives the same bytes:
    the time is the commit's, the umask is 022, and neither untracked files nor a stale ``build``
    folder can get in.

    Args:
        git: the repository.
        dist: the folder for both; what it held before is removed.

    Raises:
        Refused: the work tree is dirty, or the clone is shallow.
        DeliveryError: the build failed, or its version says nothing about the commit.
    """
    git.refuse_dirty()
    git.refuse_shallow()
    commit = git.head()
    with tempfile.TemporaryDirectory(prefix="delivery-build-") as scratch:
        source, made = Path(scratch, "source"), Path(scratch, "dist")
        git.text("clone", "--quiet", "--shared", "--no-checkout", str(git.root), str(source))
        Git(source, umask=0o022).text(
            "-c", "advice.detachedHead=false", "checkout", "--quiet", commit
        )
        epoch = git.text("show", "-s", "--format=%ct", commit)
        env = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
        # Asking the backend twice what it requires would take half of the time.
        options = ["--no-isolation", "--skip-dependency-check", "--outdir", str(made)]
        command = [sys.executable, "-m", "build", *options, str(source)]
        if subprocess.run(command, env=env, check=False, umask=0o022).returncode:
            raise DeliveryError("the build failed: what it said stands above")
        wheels, sdists = list(made.glob("*.whl")), list(made.glob("*.tar.gz"))
        if (len(wheels), len(sdists)) != (1, 1):
            raise DeliveryError(
                f"the build made {len(wheels)} wheels and {len(sdists)} sdists: one of each it is"
            )
        artifact = describe(wheels[0], commit)
        if artifact.version == "0.0.0" and not git.ok(
            "describe", "--exact-match", "--tags", commit
        ):
            raise DeliveryError("no version could be read from git: look at [tool.setuptools_scm]")
        shutil.rmtree(dist, ignore_errors=True)
        dist.mkdir(parents=True)
        shutil.copy2(wheels[0], dist)
        _repack(sdists[0], dist / sdists[0].name, int(epoch))
    return artifact


def _repack(sdist: Path, to: Path, epoch: int) -> None:
    """Write an sdist again with the same files, and nothing of the day, the user or the order."""
    with (
        tarfile.open(sdist) as old,
        to.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            plain = tarfile.TarInfo(member.name)
            plain.type, plain.linkname = member.type, member.linkname
            plain.size, plain.mtime = member.size, epoch
            plain.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(plain, old.extractfile(member) if member.isfile() else None)


def normalized(name: str) -> str:
    """Return a distribution's name as an index spells it (PEP 503).

    >>> normalized("Hello_Delivery")
    'hello-delivery'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def describe(wheel: Path, commit: str) -> Artifact:
    """Return the artifact that the file ``wheel`` is, said to be built from ``commit``."""
    return Artifact(wheel.name, metadata(wheel)["Version"], digest(wheel), commit)


def same_version(one: str, other: str) -> bool:
    """Return whether two versions are one to pip and uv (PEP 440): zeros at the end say nothing.

    >>> same_version("1.2rc1", "1.2.0rc1"), same_version("1.2", "1.20")
    (True, False)
    """
    return one == other or _trimmed(one) == _trimmed(other)


def _trimmed(version: str) -> str:
    return re.sub(r"^((?:\d+!)?\d+(?:\.\d+)*?)(?:\.0+)*(?!\.?\d)", r"\1", version)


def verified(path: Path, artifact: Artifact) -> Path:
    """Return ``path`` if it holds exactly the artifact's bytes.

    Raises:
        Refused: it holds other bytes.
        DeliveryError: it is not there.
    """
    if not path.is_file():
        raise DeliveryError(f"{path} is missing")
    found = digest(path)
    if found != artifact.sha256:
        raise Refused(
            f"{path} is not the artifact that was built: its sha256 is {found[:12]}…,"
            f" the ledger says {artifact.sha256[:12]}…; remove it, and find out who changed it"
        )
    return path


def lock(git: Git, artifact: Artifact) -> bytes:
    """Return the hashed requirements a release of ``artifact`` installs, as its commit has them.

    Raises:
        DeliveryError: this clone does not have that commit.
    """
    try:
        return git.output("show", f"{artifact.commit}:{LOCK}")
    except DeliveryError as error:
        raise DeliveryError(
            f"{LOCK} of {artifact.version} cannot be read"
            f" (git fetch, if the commit is missing here): {error}"
        ) from None
