"""A project with environments, whose ledger is told what happened, as the stages would tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from delivery.ledger.chain import Chain
from delivery.ledger.event import Event, now
from delivery.pipeline import gate
from delivery.project import Project

if TYPE_CHECKING:
    from .conftest import Toy

PLACES = """
[stages.acceptance]
needs = ["publish"]
environment = "acceptance"
budget = 5

[stages.load]
needs = ["acceptance"]
budget = 5

[stages.production]
needs = ["load"]
environment = "production"
budget = 5
"""
# A gate is asked before they run, and here it always refuses.
RUNS = "".join(
    f'[env.{name}]\ncommands = [["false"]]\n' for name in ("acceptance", "load", "production")
)


class Story:
    """A project whose ledger is told what happened, as the stages would tell it."""

    def __init__(self, toy: Toy, settings: str = "") -> None:
        self.toy = toy
        toy.write("delivery.toml", (toy.root / "delivery.toml").read_text() + PLACES + settings)
        toy.write("tox.toml", (toy.root / "tox.toml").read_text() + RUNS)
        self.commit()

    @property
    def project(self) -> Project:
        return Project.find(self.toy.root)

    def commit(self, **files: str) -> str:
        """Commit, and build and publish it; return the version."""
        commit = self.toy.commit(**files)
        self.version = f"1.{commit[:7]}"
        self.about: dict[str, Any] = {
            "wheel": f"toy-{self.version}.whl",
            "version": self.version,
            "sha256": commit[:32] * 2,
            "commit": commit,
        }
        stages = ("lint", "unit", "build", "publish")
        self._tell_all(("built", "build"), *(("passed", stage) for stage in stages))
        return self.version

    def tell(self, kind: str, stage: str, **more: object) -> Event:
        """Record an event about the artifact."""
        return self.project.record(kind, stage, None, **{**self.about, **more})

    def deploy(self, stage: str, **more: object) -> Event:
        """Record a deployment by the code that is checked out."""
        project = self.project
        code = gate.code(project.git)
        return self.tell("deployed", stage, **{"environment": stage, "code": code, **more})

    def accept(self) -> None:
        """Record that the artifact came through acceptance and what follows."""
        self._tell_all(("deployed", "acceptance"), ("passed", "acceptance"), ("passed", "load"))

    def _tell_all(self, *told: tuple[str, str]) -> None:
        """Record events in one commit, which is quick."""
        git = self.project.git
        more: dict[str, Any] = {"code": gate.code(git), "by": "Ada", "via": "test", **self.about}
        files = {}
        for kind, stage in told:
            event = Event(kind, stage, at=now(), **more)
            files[event.path()] = event.body().encode()
        Chain(git).add(lambda _: files, "told", "Ada <ada@example.org>")

    def held(self, stage: str = "production") -> dict[str, str]:
        """Return the rules that hold the artifact back."""
        project = self.project
        about = (self.about["commit"], self.about["sha256"])
        return dict(gate.held(project.config, project.ledger, project.config.stages[stage], *about))
