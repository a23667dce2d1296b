"""The index as a folder: PEP 503's simple repository, in plain files.

Both ``pip install --index-url file://…`` and ``uv pip install --index file://…`` install from it.
"""

from __future__ import annotations

import fcntl
import html
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from .artifact import Artifact, digest, metadata, verified
from .errors import DeliveryError, Refused

HEAD = '<!DOCTYPE html>\n<html><head><meta name="pypi:repository-version" content="1.0"></head>\n'


def normalized(name: str) -> str:
    """Return a distribution's name as an index spells it (PEP 503).

    >>> normalized("Hello_Delivery")
    'hello-delivery'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def publish(index: Path, name: str, wheel: Path) -> bool:
    """Put a wheel into the index, wholly or not at all.

    Args:
        index: the index's folder; it is made when it is missing.
        name: the distribution's name.
        wheel: the file.

    Returns:
        Whether the index changed: publishing the same file again is no change.

    Raises:
        Refused: the index has other bytes under the same file name.
        DeliveryError: the index cannot be written.
    """
    folder = index / normalized(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(index):
            place = folder / wheel.name
            new = not place.exists()
            if not new and digest(place) != digest(wheel):
                raise Refused(
                    f"{index} already has {wheel.name} with other bytes: an artifact never changes;"
                    " commit something, so that it gets a version of its own"
                )
            if new:
                _write(place, wheel.read_bytes())
            _page(folder, [_link(path) for path in sorted(folder.glob("*.whl"))])
            _page(
                index,
                [_anchor(p.name + "/", p.name) for p in sorted(index.iterdir()) if p.is_dir()],
            )
    except OSError as error:
        raise DeliveryError(f"{index} cannot be written: {error}") from None
    return new


def fetch(index: Path, name: str, artifact: Artifact) -> Path:
    """Return the path of the artifact's file in the index, its digest checked.

    Raises:
        Refused: the index has other bytes under that name.
        DeliveryError: the index does not have it.
    """
    path = index / normalized(name) / artifact.wheel
    if not path.is_file():
        raise DeliveryError(
            f"{index} does not have {artifact.wheel}: python -m delivery run publish"
        )
    return verified(path, artifact)


def _link(wheel: Path) -> str:
    python = metadata(wheel).get("Requires-Python", "")
    return _anchor(f"{quote(wheel.name)}#sha256={digest(wheel)}", wheel.name, python)


def _anchor(target: str, text: str, python: str = "") -> str:
    needs = f' data-requires-python="{html.escape(python)}"' if python else ""
    return f'<a href="{html.escape(target)}"{needs}>{html.escape(text)}</a><br>\n'


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


@contextmanager
def _locked(index: Path) -> Iterator[None]:
    with (index / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
