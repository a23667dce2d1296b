"""devpi: one index for each level an artifact reaches, and files that are pushed between them.

What is published is in ``TEAM/dev``. The files of ``TEAM/acceptance`` and ``TEAM/production`` come
from there, by devpi's own push. https://devpi.net
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ..errors import DeliveryError, Missing, UsageError
from .credentials import HINT
from .site import WHOLE, Answer, Site, other_bytes
from .wheel import Artifact, describe, normalized

DEVPI = "devpi+"
DEV = "dev"  # where everything begins
FILE = re.compile(r"/([^/]+/[^/]+)/\+[ef]/.+/([^/]+)$")  # index and name in a file's address


@dataclass(frozen=True)
class Link:
    """A file in an index.

    Attributes:
        index: the index that has it, as ``team/dev``: the one asked, or one that it inherits from.
        name: its file name.
        sha256: its digest.
        url: its address.
        about: for a document that hangs on another file: that one's name.
    """

    index: str
    name: str
    sha256: str
    url: str
    about: str | None = None


@dataclass(frozen=True)
class Devpi:
    """One of a team's indices.

    Attributes:
        site: where the server is.
        team: the user that the indices belong to.
        level: which of them.
    """

    site: Site
    team: str
    level: str = DEV

    @classmethod
    def parse(cls, address: str, root: Path) -> Devpi:
        """Return the index that ``devpi+https://[USER@]HOST[/PREFIX]/TEAM`` means.

        Raises:
            UsageError: it is no such address, or holds a password.
        """
        scheme = address.removeprefix(DEVPI).partition("://")[0]
        site = Site.parse(address.removeprefix(DEVPI), root)
        base, _, team = site.base.rpartition("/")
        if (
            scheme not in ("http", "https")
            or not re.fullmatch(r"[a-zA-Z0-9_-]+", team)
            or (base.endswith(":/"))
        ):
            raise UsageError(
                "delivery.toml: an index on devpi is devpi+https://HOST/TEAM, with the name of the"
                f" user whose indices they are at its end, not {DEVPI}{site.base}"
            )
        return cls(replace(site, base=base, user=site.user or team, login="/+login"), team)

    def at(self, level: str) -> Devpi:
        """Return the index of another level."""
        return replace(self, level=level)

    def __str__(self) -> str:
        return f"{self.site.base}/{self.name}"

    @property
    def url(self) -> str:
        """What ``pip install --extra-index-url`` takes."""
        return f"{self}/+simple/"

    @property
    def name(self) -> str:
        """What devpi calls it, and the ledger."""
        return f"{self.team}/{self.level}"

    def publish(self, name: str, wheel: Path, papers: Sequence[Path] = ()) -> bool:
        """Put a wheel and its papers into the index (see `Index`).

        The wheel comes first, for devpi hangs documents on a file; a push takes all at once.
        """
        made = describe(wheel, "")
        new = self._link(name, made) is None
        if new:
            self.site.upload(f"{self}/", wheel, self)
        return self._attach(name, made, [paper.read_bytes() for paper in papers]) or new

    def fetch(self, name: str, artifact: Artifact) -> Path:
        """Return a path of the artifact's file, fetched (see `Index`)."""
        link = self._link(name, artifact)
        if link is None:
            raise Missing(f"{self} does not have {artifact.wheel}: python3 -m delivery run publish")
        return self.site.download(link.url, artifact, self)

    def paper(self, name: str, file: str) -> Path | None:
        """Return a path of a paper, fetched (see `Index`); its name tells version and digest."""
        version, start = file.split("-")[1], file.rsplit(".", 3)[-3]
        for link in self._links(name, version):
            if link.about and link.sha256.startswith(start):
                answer = self.site.ask(link.url)
                if answer.status == 200:
                    return self.site.keep(file, answer.body)
        return None

    def push(self, name: str, artifact: Artifact, goal: Devpi, results: bytes = b"") -> bool:
        """Let devpi put an artifact, with all that hangs on it, into another index; wholly or not.

        Args:
            name: the distribution's name.
            artifact: the artifact; this index has it.
            goal: the other index.
            results: a JSON document to hang on it first, and to take along.

        Returns:
            Whether the other index changed.

        Raises:
            Refused: one of the two has other bytes under that name.
            Missing: this index does not have it.
            DeliveryError: the server did not do it. Pushing again completes it.
        """
        if goal._link(name, artifact):
            return False
        if self._link(name, artifact) is None:
            raise Missing(f"{self} does not have {artifact.wheel}: python3 -m delivery run publish")
        self._attach(name, artifact, [results] if results else [])
        wanted = {"name": name, "version": artifact.version, "targetindex": goal.name}
        answer = self.site.ask(str(self), "application/json", wanted)
        # Somebody else may have been faster (409): what is there now decides.
        if answer.status not in (200, 409) or goal._link(name, artifact) is None:
            raise self._refusal(f"did not push {artifact.wheel} to {goal.name}", answer)
        return True

    def has(self, name: str, artifact: Artifact) -> bool:
        """Return whether this very index has the artifact.

        Raises:
            Refused: it has other bytes under that name.
        """
        return self._link(name, artifact) is not None

    def wheels(self, name: str) -> set[str]:
        """Return the wheels of a distribution that this very index has (see `Shelf`)."""
        # devpi looks at each of them first: with thousands, that takes its time.
        links = self._told(f"{normalized(name)}?ignore_bases", name, WHOLE)
        own = (link.name for link in links if link.index == self.name)
        return {file for file in own if file.endswith(".whl")}

    def remove(self, name: str, artifact: Artifact) -> None:
        """Take an artifact out of this very index (see `Shelf`); what hangs on it goes along.

        What others put beside it under the same version stays.
        """
        link = self._link(name, artifact)
        if link is None or link.index != self.name:
            return
        try:
            answer = self.site.ask(f"{link.url}?force", method="DELETE")
            if answer.status != 200:
                raise self._refusal(f"did not remove {artifact.wheel}", answer)
        except DeliveryError:
            # It may be gone all the same, and only the answer lost: what is there now decides.
            if self._link(name, artifact) == link:
                raise

    def _attach(self, name: str, artifact: Artifact, documents: Sequence[bytes]) -> bool:
        """Hang JSON documents on an artifact that is here; return whether one was new."""
        links = self._links(name, artifact.version)
        place = next((link.url for link in links if link.name == artifact.wheel), None)
        if place is None:
            raise DeliveryError(f"{self} took {artifact.wheel}, and does not have it: try again")
        there = {link.sha256 for link in links if link.about == artifact.wheel}
        new = [body for body in documents if hashlib.sha256(body).hexdigest() not in there]
        for body in new:
            answer = self.site.ask(place, "application/json", body)
            if answer.status != 200:
                raise self._refusal(f"did not take a paper of {artifact.wheel}", answer)
        return bool(new)

    def _link(self, name: str, artifact: Artifact) -> Link | None:
        """Return where an artifact is, if it is here and no other bytes are."""
        for link in self._links(name, artifact.version):
            if link.name == artifact.wheel and not link.about:
                if link.sha256 != artifact.sha256:
                    raise other_bytes(self, artifact.wheel, link.sha256, artifact.sha256)
                return link
        return None

    def _links(self, name: str, version: str) -> list[Link]:
        """Return the files of a version that this index has.

        For the first one that is what the others have, too: it inherits from them, and they from
        none that takes more than they do.
        """
        path = f"{normalized(name)}/{quote(version, safe='')}"
        links = self._told(path, f"{name} {version}")
        return [link for link in links if self.level == DEV or link.index == self.name]

    def _told(self, path: str, about: str, seconds: float | None = None) -> list[Link]:
        """Return the files of the version, or of all versions, that the server tells of."""
        answer = self.site.ask(f"{self}/{path}", "application/json", seconds=seconds)
        if answer.status == 404:
            return []
        try:
            if answer.status != 200:
                raise self._refusal(f"does not tell of {about}", answer)
            told, one = answer.document["result"], answer.document["type"] == "versiondata"
            entries = [e for v in ([told] if one else told.values()) for e in v.get("+links", ())]
            return [self._parse(entry) for entry in entries]
        except (KeyError, TypeError, AttributeError):
            raise DeliveryError(f"{self} does not answer as a devpi does: {answer.url}") from None

    def _parse(self, entry: dict[str, Any]) -> Link:
        path = unquote(urlsplit(entry["href"]).path)
        found = FILE.search(path)
        if found is None:
            raise KeyError("href")
        # By our own way to the server: behind a front it may call itself otherwise.
        url = self.site.base + quote(found[0], safe="/+")
        about = entry.get("for_href")
        return Link(
            found[1],
            found[2],
            entry["hash_spec"].removeprefix("sha256="),
            url,
            unquote(about.rpartition("/")[2]) if about else None,
        )

    def _refusal(self, what: str, answer: Answer) -> DeliveryError:
        hint = f": {HINT}" if answer.status in (401, 403) else ""
        return DeliveryError(f"{self} {what}, it says {answer.said}{hint}")
