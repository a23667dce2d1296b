"""One project: its pipeline, its repository, its ledger, and the artifact of a commit."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifact import papers
from .artifact.wheel import Artifact, digest, verified
from .config import Config, load
from .errors import DeliveryError, Missing, Refused, UsageError
from .git import Git
from .ledger import event
from .ledger.event import Event
from .ledger.store import Ledger
from .tables import BUILD


@dataclass(frozen=True)
class Project:
    """What every command works on.

    Attributes:
        config: the pipeline.
        git: the repository.
        ledger: what has happened so far.
    """

    config: Config
    git: Git
    ledger: Ledger

    @classmethod
    def find(cls, start: Path) -> Project:
        """Return the project that holds ``start``.

        Raises:
            UsageError: there is none, or its configuration is wrong.
        """
        git = Git.find(start)
        if (start / "delivery.toml").exists() and not (git.root / "delivery.toml").exists():
            raise UsageError(
                f"{start} is only a part of the repository {git.root}: a project has one of its own"
            )
        config = load(git.root)
        return cls(config, git, Ledger(git, config.remote, config.push, config.tested))

    @property
    def names(self) -> Path:
        """Where the names of the ledger's events are kept, so that questions are answered soon."""
        return self.config.root / ".delivery" / "names"

    def artifact(self, about: str | None = None) -> Artifact | None:
        """Return the artifact of a commit or of a sha256; None when it has not been built.

        Args:
            about: the full hash or digest. Without it: the artifact the running stage is about,
                else that of the commit that is checked out.
        """
        about = about or os.environ.get("DELIVERY_SHA256") or self.git.head()
        built = self.ledger.events(event=("built",), about=about, newest=1)
        return _artifact(built[-1]) if built else None

    def named(self, name: str) -> Artifact:
        """Return the artifact that a person means.

        Args:
            name: a version or the beginning of one, of a sha256, or of a commit's hash; or what git
                takes for a commit.

        Raises:
            UsageError: nothing, or more than one artifact, has that name.
        """
        built = self.ledger.events(event=("built",))
        exactly = [event for event in built if event.version == name]
        known = {
            event.sha256: _artifact(event)
            for event in exactly or (event for event in built if _begins(event, name))
        }
        if len(known) != 1:
            found = sorted(artifact.version for artifact in known.values())
            if not found:
                commit = self.git.commit(name)
                if commit not in (None, name):
                    return self.named(str(commit))
                raise UsageError(
                    f"no artifact that was built is called {name!r}: python3 -m delivery board"
                )
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            raise UsageError(
                f"{name!r} is the beginning of more than one: {', '.join(found[:5])}{more}"
            )
        return next(iter(known.values()))

    def record(self, kind: str, stage: str, artifact: Artifact | None, **more: Any) -> Event:
        """Append an event to the ledger and return it; ``more`` is any other field."""
        told = {
            "commit": artifact.commit if artifact else self.git.head(),
            "wheel": artifact.wheel if artifact else None,
            "version": artifact.version if artifact else None,
            "sha256": artifact.sha256 if artifact else None,
            "at": event.now(),
            "by": event.author(self.git),
            "via": event.via(),
        }
        happened = Event(kind, stage, **{**told, **more})
        return self.ledger.append(happened)

    def wheel(self, artifact: Artifact) -> Path:
        """Return the artifact's file in ``dist``, alone there, fetched if it is missing.

        Raises:
            Refused: the file holds other bytes than were built.
            DeliveryError: it is neither in ``dist`` nor in the index.
        """
        dist = self.config.root / "dist"
        place = dist / artifact.wheel
        if not place.exists():
            try:
                source = self.config.index.fetch(self.config.name, artifact)
            except Missing:
                raise DeliveryError(
                    f"{place.name} is neither in dist nor in the index:"
                    f" python3 -m delivery run {BUILD}"
                ) from None
            dist.mkdir(exist_ok=True)
            shutil.copy2(source, place)
        release = "-".join(artifact.wheel.split("-")[:2])
        for other in (file for file in dist.iterdir() if file.is_file()):
            if not other.name.startswith((f"{release}-", f"{release}.tar.gz")):
                other.unlink()
        return verified(place, artifact)

    def papers(self, artifact: Artifact) -> dict[str, Path]:
        """Return the artifact's papers that the ledger names, by kind, in ``dist`` or in the index.

        Raises:
            Refused: one of them holds other bytes than were written.
            DeliveryError: one is neither in ``dist`` nor in the index.
        """
        built = self.ledger.events(event=("built",), about=artifact.sha256)
        found: dict[str, Path] = {}
        for kind, name, sha256 in papers.named(artifact, built[-1]) if built else ():
            place = self.config.root / "dist" / name
            if not place.is_file():
                place = self.config.index.paper(self.config.name, name) or place
            if not place.is_file():
                raise DeliveryError(
                    f"{name} is neither in dist nor in the index: python3 -m delivery run {BUILD}"
                )
            if digest(place) != sha256:
                raise Refused(
                    f"{place} is not what was written with the artifact: its sha256 is not"
                    f" {sha256[:12]}…; remove it, and find out who changed it"
                )
            found[kind] = place
        return found

    def live(self, environment: str) -> Event | None:
        """Return the last deployment to an environment, as the ledger tells it."""
        stage = self.config.stage_of(environment).name
        events = self.ledger.events(event=("deployed",), stage=stage, newest=1)
        return events[-1] if events else None


def _artifact(built: Event) -> Artifact:
    return Artifact(str(built.wheel), str(built.version), str(built.sha256), built.commit)


def _begins(built: Event, name: str) -> bool:
    hashes = (built.commit, str(built.sha256)) if len(name) >= 4 else ()
    return any(whole.startswith(name) for whole in (str(built.version), *hashes))
