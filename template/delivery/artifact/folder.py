"""The index that is a folder: PEP 503's simple repository in plain files."""

from __future__ import annotations

import fcntl
import glob
import html
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..errors import DeliveryError, Missing, Refused
from .wheel import Artifact, digest, metadata, normalized, verified

HEAD = '<!DOCTYPE html>\n<html><head><meta name="pypi:repository-version" content="1.0"></head>\n'
LINE = re.compile(r'<a href="[^"]+#sha256=[0-9a-f]{64}"[^>]*>([^<]+)</a><br>\n')  # of a wheel
PAGE = re.compile(rf"{re.escape(HEAD)}<body>\n((?:<a .+\n)*)</body></html>\n")


@dataclass(frozen=True)
class Folder:
    """A folder with PEP 503's simple repository in plain files.

    Both ``pip install --index-url file://…`` and ``uv pip install --index file://…`` install from
    it. It is made when something is published.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def url(self) -> str:
        """What ``pip install --extra-index-url`` takes."""
        return self.path.as_uri()

    @property
    def name(self) -> None:
        """None: the ledger has no use for a path of this machine."""

    def publish(self, name: str, wheel: Path, papers: Sequence[Path] = ()) -> bool:
        """Put a wheel and its papers into the index (see `Index`)."""
        folder = self.path / normalized(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                # The wheel last: what has it has all of it.
                new = [self._put(folder, file) for file in (*papers, wheel)]
                _listed(folder, new=wheel.name if new[-1] else "")
                projects = [path.name for path in sorted(self.path.iterdir()) if path.is_dir()]
                _page(self.path, [_anchor(f"{project}/", project) for project in projects])
        except OSError as error:
            raise DeliveryError(f"{self} cannot be written: {error}") from None
        return any(new)

    def fetch(self, name: str, artifact: Artifact) -> Path:
        """Return the path of the artifact's file in the index (see `Index`)."""
        path = self.path / normalized(name) / artifact.wheel
        if not path.is_file():
            raise Missing(f"{self} does not have {artifact.wheel}: python3 -m delivery run publish")
        return verified(path, artifact)

    def paper(self, name: str, file: str) -> Path | None:
        """Return the path of a paper in the index (see `Index`)."""
        path = self.path / normalized(name) / file
        return path if path.is_file() else None

    def wheels(self, name: str) -> set[str]:
        """Return the file names of the wheels that the folder has of a distribution."""
        return {path.name for path in (self.path / normalized(name)).glob("*.whl")}

    def remove(self, name: str, artifact: Artifact) -> None:
        """Take an artifact and its papers away (see `Shelf`)."""
        folder = self.path / normalized(name)
        if not folder.is_dir():
            return
        try:
            with self._locked():
                # First: nobody is sent to what is not there.
                _listed(folder, without=artifact.wheel)
                for paper in folder.glob(f"{glob.escape(artifact.wheel)}.*.json"):
                    paper.unlink()
                (folder / artifact.wheel).unlink(missing_ok=True)
        except OSError as error:
            raise DeliveryError(f"{self} cannot be written: {error}") from None

    def _put(self, folder: Path, file: Path) -> bool:
        place = folder / file.name
        if place.exists():
            if digest(place) != digest(file):
                raise Refused(
                    f"{self} already has {file.name} with other bytes: an artifact never changes;"
                    " commit something, so that it gets a version of its own"
                )
            return False
        _write(place, file.read_bytes())
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.path / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _link(wheel: Path) -> str:
    python = metadata(wheel).get("Requires-Python", "")
    return _anchor(f"{quote(wheel.name)}#sha256={digest(wheel)}", wheel.name, python)


def _anchor(target: str, text: str, python: str = "") -> str:
    needs = f' data-requires-python="{html.escape(python)}"' if python else ""
    return f'<a href="{html.escape(target)}"{needs}>{html.escape(text)}</a><br>\n'


def _listed(folder: Path, new: str = "", without: str = "") -> None:
    """List the folder's wheels; what its page tells of a wheel stays, for no wheel ever changes."""
    told = _told(folder / "index.html")
    told.pop(new, None)
    wheels = sorted(n for n in os.listdir(folder) if n.endswith(".whl") and n != without)
    _page(folder, [told.get(name) or _link(folder / name) for name in wheels])


def _told(page: Path) -> dict[str, str]:
    """Return each wheel's line of a page; none where it is not whole, or is not there."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    whole = PAGE.fullmatch(text)
    return {html.unescape(line[1]): line[0] for line in LINE.finditer(whole[1] if whole else "")}


def _page(folder: Path, links: list[str]) -> None:
    page = f"{HEAD}<body>\n{''.join(links)}</body></html>\n".encode()
    place = folder / "index.html"
    if not place.exists() or place.read_bytes() != page:
        _write(place, page)


def _write(place: Path, body: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
