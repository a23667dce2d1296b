"""The index: where artifacts live, and where others install them from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..errors import UsageError
from .devpi import DEVPI, Devpi
from .folder import Folder
from .simple import Simple
from .wheel import Artifact


class Index(Protocol):
    """What every kind of index can do. As text it is the address that a person knows it by."""

    @property
    def url(self) -> str:
        """What ``pip install --extra-index-url`` takes."""

    @property
    def name(self) -> str | None:
        """What the ledger calls it; None: nothing."""

    def publish(self, name: str, wheel: Path, papers: Sequence[Path] = ()) -> bool:
        """Put a wheel and its papers into the index.

        Args:
            name: the distribution's name.
            wheel: the file.
            papers: files that belong to it; their names tell their digests.

        Returns:
            Whether the index changed: publishing the same files again is no change.

        Raises:
            Refused: the index has other bytes under the same file name.
            DeliveryError: the index cannot be written. Publishing again completes it.
        """

    def fetch(self, name: str, artifact: Artifact) -> Path:
        """Return a path of the artifact's file, its digest checked.

        Raises:
            Refused: the index has other bytes under that name.
            Missing: the index does not have it.
            DeliveryError: the index cannot be read.
        """

    def paper(self, name: str, file: str) -> Path | None:
        """Return a path of one of an artifact's papers, unchecked; None when it is not there."""


class Shelf(Index, Protocol):
    """An index that artifacts can be taken out of: a folder, or one of devpi's."""

    def wheels(self, name: str) -> set[str]:
        """Return the file names of the wheels that this very index has of a distribution.

        Raises:
            DeliveryError: the index cannot be read.
        """

    def remove(self, name: str, artifact: Artifact) -> None:
        """Take an artifact and its papers away; where it is not, do nothing.

        Raises:
            Refused: the index has other bytes under that name.
            DeliveryError: the index cannot be written; what is left of it can be removed again.
        """


def at(address: str, root: Path, upload: str | None = None) -> Index:
    """Return the index at an address.

    Args:
        address: a folder, relative to ``root``, or to the home folder when it begins with ``~``;
            or ``http(s)://…``, a simple index; or ``devpi+http(s)://HOST/TEAM``.
        root: the project's top folder.
        upload: where a simple index takes files, if that is another address.

    Raises:
        UsageError: no index of that kind is known, or an address is not whole.
    """
    scheme = address.partition("://")[0] if "://" in address else ""
    if upload is not None and scheme not in ("http", "https"):
        raise UsageError("delivery.toml: upload is for an index that is an https://… address")
    if scheme.startswith(DEVPI):
        return Devpi.parse(address, root)
    if scheme in ("http", "https"):
        return Simple.parse(address, root, upload or address)
    if scheme:
        raise UsageError(
            f"delivery.toml: index cannot be {scheme}://…: it is a folder, the https://… of a"
            " simple index, or devpi+https://HOST/TEAM"
        )
    try:
        return Folder(root / Path(address).expanduser())
    except RuntimeError:
        raise UsageError(
            f"delivery.toml: nobody knows whose home {address} begins with: name a folder"
        ) from None
