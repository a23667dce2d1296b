"""One project: its pipeline, its repository, its ledger, and the artifact of a commit."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import event, index
from .artifact import Artifact, verified
from .config import BUILD, Config, load
from .errors import DeliveryError, UsageError
from .event import Event
from .git import Git
from .ledger import Ledger


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
        config = load(git.root)
        return cls(config, git, Ledger(git, config.remote))

    def artifact(self, about: str | None = None) -> Artifact | None:
        """Return the artifact of a commit or of a sha256; None when it has not been built.

        Args:
            about: the full hash or digest. Without it: the artifact the running stage is about,
                else that of the commit that is checked out.
        """
        about = about or os.environ.get("DELIVERY_SHA256") or self.git.head()
        built = self.ledger.events(event=("built",), about=about)
        return _artifact(built[-1]) if built else None

    def named(self, name: str) -> Artifact:
        """Return the artifact that a person means.

        Args:
            name: a version, or the beginning of a sha256 or of a commit's hash.

        Raises:
            UsageError: nothing, or more than one artifact, has that name.
        """
        built = self.ledger.events(event=("built",))
        known = {event.sha256: _artifact(event) for event in built if _named(event, name)}
        if len(known) != 1:
            found = ", ".join(sorted(artifact.version for artifact in known.values())) or "none"
            raise UsageError(f"{name!r} has to name one artifact that was built; it names: {found}")
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
                source = index.fetch(self.config.index, self.config.name, artifact)
            except DeliveryError as error:
                if error.status != DeliveryError.status:
                    raise
                raise DeliveryError(
                    f"{place.name} is neither in dist nor in the index:"
                    f" python -m delivery run {BUILD}"
                ) from None
            dist.mkdir(exist_ok=True)
            shutil.copy2(source, place)
        for other in dist.glob("*.whl"):
            if other != place:
                other.unlink()
        return verified(place, artifact)

    def live(self, environment: str) -> Event | None:
        """Return the last deployment to an environment, as the ledger tells it."""
        stage = self.config.stage_of(environment).name
        events = self.ledger.events(event=("deployed",), stage=stage, newest=1)
        return events[-1] if events else None


def _artifact(built: Event) -> Artifact:
    return Artifact(str(built.wheel), str(built.version), str(built.sha256), built.commit)


def _named(built: Event, name: str) -> bool:
    prefix = len(name) >= 4 and (
        built.commit.startswith(name) or str(built.sha256).startswith(name)
    )
    return built.version == name or prefix
