"""Any index with PEP 503's simple pages or PEP 691's: read by its address, written by uv."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from ..errors import DeliveryError, Missing, Refused
from .site import Answer, Site, other_bytes
from .wheel import Artifact, describe, digest, metadata, normalized

JSON = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
PATIENCE = 5  # looks at an index that lists late what it took
PYPI = ("pypi.org", "test.pypi.org")


@dataclass(frozen=True)
class Simple:
    """An index at a web address.

    It carries wheels and no papers, which stay in ``dist``; the ledger has their digests.

    Attributes:
        site: where its pages are.
        to: where it takes files.
    """

    site: Site
    to: Site

    @classmethod
    def parse(cls, address: str, root: Path, upload: str) -> Simple:
        """Return the index whose pages and whose upload are at these addresses.

        Raises:
            UsageError: one of them is no address, or holds a password.
        """
        to = Site.parse(upload, root, "__token__")
        return cls(Site.parse(address, root, to.user), to)

    def __str__(self) -> str:
        return self.url

    @property
    def url(self) -> str:
        """What ``pip install --extra-index-url`` takes."""
        return f"{self.site.base}/"

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return self.url

    def publish(self, name: str, wheel: Path, papers: Sequence[Path] = ()) -> bool:
        """Put a wheel into the index; it takes no papers (see `Index`)."""
        version = metadata(wheel).get("Version", "")
        if "+" in version and urlsplit(self.url).hostname in PYPI:
            raise Refused(
                f"PyPI takes releases alone, and {version} has no tag of its own: tag the commit"
                " with a version, and walk again"
            )
        if self._has(name, wheel):
            return False
        # With the slash at the end that some servers insist on.
        self.to.upload(f"{self.to.base}/", wheel, self)
        for late in range(PATIENCE):
            time.sleep(late / 2)
            if self._has(name, wheel):
                return True
        raise DeliveryError(f"{self} took {wheel.name}, and does not list it yet: publish again")

    def fetch(self, name: str, artifact: Artifact) -> Path:
        """Return a path of the artifact's file, fetched (see `Index`)."""
        url, sha256 = self._find(name, artifact.wheel)
        if not url:
            raise Missing(f"{self} does not have {artifact.wheel}: python3 -m delivery run publish")
        if sha256 and sha256 != artifact.sha256:
            raise other_bytes(self, artifact.wheel, sha256, artifact.sha256)
        return self.site.download(url, artifact, self)

    def paper(self, name: str, file: str) -> None:
        """Return None: such an index carries no papers (see `Index`)."""

    def _has(self, name: str, wheel: Path) -> bool:
        """Return whether the index has the very bytes."""
        url, sha256 = self._find(name, wheel.name)
        if url and not sha256:
            self.site.download(url, describe(wheel, ""), self)
        elif url and sha256 != digest(wheel):
            raise other_bytes(self, wheel.name, sha256, digest(wheel))
        return bool(url)

    def _find(self, name: str, file: str) -> tuple[str, str]:
        """Return the address of a file and the sha256 its page tells; empty where it is not."""
        answer = self.site.ask(f"{self.site.base}/{normalized(name)}/", ACCEPT)
        if answer.status == 404:
            return "", ""
        if answer.status != 200:
            raise DeliveryError(f"{self} says {answer.said} when asked for {normalized(name)}")
        return _files(answer, self).get(file, ("", ""))


def _files(answer: Answer, index: object) -> dict[str, tuple[str, str]]:
    """Return the address and the sha256 of each file that a project's page lists."""
    if answer.kind == JSON:
        try:
            return {
                file["filename"]: (
                    urljoin(answer.url, file["url"]),
                    file["hashes"].get("sha256", ""),
                )
                for file in answer.document["files"]
            }
        except (KeyError, TypeError, AttributeError):
            raise DeliveryError(f"{index} answers with no simple page (PEP 691)") from None
    page = _Page()
    page.feed(answer.body.decode("utf-8", "replace"))
    found = {}
    for link in page.links:
        url, _, fragment = urljoin(answer.url, link).partition("#")
        kind, _, told = fragment.partition("=")
        name = unquote(urlsplit(url).path.rpartition("/")[2])
        found[name] = (url, told if kind == "sha256" else "")
    return found


class _Page(HTMLParser):
    """The links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [link for key, link in attrs if tag == "a" and key == "href" and link]
