"""Persons with SSH keys of their own, and what they do about approvals."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

from delivery.ledger.event import Event

from .story import Story

ASKS = "approval = true\nfour_eyes = true\napproval_days = 7\n"
GRACE, MALLORY = "grace@example.org", "mallory@example.org"
AUTHOR = "ada@example.org"  # whom the tests' git commits as


class People:
    """Persons with SSH keys of their own."""

    def __init__(self, story: Story, folder: Path) -> None:
        self.story, self.folder = story, folder
        folder.mkdir()

    def key(self, who: str) -> Path:
        """Return a person's key, made when it is first asked for."""
        path = self.folder / who
        if not path.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", str(path)]
            subprocess.run(command, check=True)
        return path

    def become(self, who: str, key: Path | None = None) -> None:
        """Let git act as somebody, and sign with their key."""
        toy = self.story.toy
        toy.git("config", "user.email", who)
        toy.git("config", "user.name", who.partition("@")[0].title())
        toy.git("config", "gpg.format", "ssh")
        toy.git("config", "user.signingkey", f"{key or self.key(who)}.pub")

    def allow(self, *who: str) -> None:
        """Commit who may sign, as the author; the ledger knows that commit, accepted."""
        lines = [f"{name} {self.key(name).with_suffix(self.key(name).suffix + '.pub').read_text()}"
                 for name in who]  # fmt: skip
        self.story.toy.write("delivery/allowed_signers", "".join(lines))
        self.story.commit()
        self.story.accept()


def approved(story: Story) -> Event:
    """Approve the artifact; return the event."""
    done = story.toy.delivery("approve", story.version)
    assert done.returncode == 0, done.stderr
    return story.project.ledger.events(event=("approved",))[-1]


def put(story: Story, event: Event, envelope: dict[str, object] | None = None) -> None:
    """Write an approval into the ledger, as somebody could who may push to it."""
    event = replace(event, envelope=json.dumps(envelope)) if envelope else event
    story.project.ledger.append(event)


def waits(story: Story) -> str:
    """Return why production waits."""
    assert set(story.held()) == {"approval"}
    return story.held()["approval"]
