"""What keeps instances running: one for each init system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .lock import Lock


@dataclass(frozen=True)
class Status:
    """How a process is."""

    state: str
    pid: int
    detail: str
    up: bool


class Keeper(Protocol):
    """What keeps instances running."""

    def names(self) -> set[str]:
        """Return the instances it runs, or will when it starts."""

    def status(self, name: str) -> Status:
        """Return how an instance is."""

    def start(self, instance: str) -> None:
        """Start an instance, until a reboot."""

    def enable(self, instance: str) -> None:
        """Let an instance come up after a reboot."""

    def disable(self, instance: str) -> None:
        """Let an instance run on, and not come up after a reboot."""

    def stop(self, instance: str) -> None:
        """Stop an instance, now and for good."""

    def once(self, instance: str, script: str, lock: Lock) -> int:
        """Run a script of an instance's release as the instance runs; return its exit status."""

    def log(self, instance: str, hidden: Sequence[str]) -> list[str]:
        """Return the last lines that an instance wrote, with the hidden words starred out."""

    def where(self, instance: str) -> str:
        """Say where a person finds all that an instance wrote."""
