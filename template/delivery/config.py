"""``delivery.toml``, and the little of ``pyproject.toml`` that the pipeline needs, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import tables
from .artifact.devpi import Devpi
from .artifact.index import Index, at
from .errors import UsageError
from .tables import PUBLISH, Limits, Retention, Stage
from .tools import base


@dataclass(frozen=True)
class Config:
    """The pipeline of one project.

    Attributes:
        root: the project's top folder.
        name: the distribution's name, from ``pyproject.toml``.
        python: the oldest Python the project runs on, as (major, minor).
        index: where artifacts are published to.
        remote: the git remote the ledger is shared through; empty: it stays in this clone.
        push: whether this clone may push it there; if not, its events are carried on as files.
        stages: the stages by name, in the pipeline's order.
        cool_off: days that a release has to be old before a lock takes it; 0: any.
        performance: the limits of the paths that the stage of that name asks for.
        retention: what ``prune`` keeps.
        system: the Debian packages that a release needs of the system.
        branch: the branch that CI systems deliver; every other is only tested.
        runner: the label of the CI system's agents; empty: whichever that system takes.
    """

    root: Path
    name: str
    python: tuple[int, int]
    index: Index
    remote: str
    stages: Mapping[str, Stage]
    performance: Mapping[str, Limits]
    cool_off: float = 0
    retention: Retention = Retention()
    system: tuple[str, ...] = ()
    push: bool = True
    branch: str = "main"
    runner: str = ""

    def stage(self, name: str) -> Stage:
        """Return the stage of a name, or of the beginning of one that no other stage has.

        Raises:
            UsageError: there is none, or more than one.
        """
        found = [known for known in self.stages if known.startswith(name)]
        if name in self.stages or (name and len(found) == 1):
            return self.stages[name if name in self.stages else found[0]]
        what = f"{name!r} is short for {' and '.join(found)}" if name and found else ""
        known = ", ".join(self.stages)
        raise UsageError(f"{what or f'no stage {name!r}'} (delivery.toml has: {known})")

    def stage_of(self, environment: str) -> Stage:
        """Return the stage that deploys to ``environment``.

        Raises:
            UsageError: no stage does.
        """
        for stage in self.stages.values():
            if stage.environment == environment:
                return stage
        known = ", ".join(self.environments) or "none"
        raise UsageError(f"no stage deploys to {environment!r} (delivery.toml has: {known})")

    def environment(self, name: str) -> str:
        """Return the environment of a name, or of the beginning of one that no other has.

        Raises:
            UsageError: there is none, or more than one.
        """
        found = [known for known in self.environments if name and known.startswith(name)]
        if name in found or len(found) == 1:
            return name if name in found else found[0]
        if found:
            raise UsageError(f"{name!r} is short for {' and '.join(found)}")
        return str(self.stage_of(name).environment)

    def accepted_by(self, stage: Stage) -> tuple[Stage, ...]:
        """Return the stages that deploy somewhere and come before ``stage``, the nearest first."""
        found: dict[str, Stage] = {}
        waiting = [self.stages[name] for name in stage.needs]
        while waiting:
            before = waiting.pop(0)
            if before.environment:
                found[before.name] = before
            waiting += [self.stages[name] for name in before.needs if name not in found]
        return tuple(found.values())

    @property
    def tested(self) -> tuple[str, ...]:
        """The stages for every commit of every branch: they change nothing but what they report.

        Not among them: what publishes or deploys, and what needs that, however remotely.
        """
        found: list[str] = []
        for name, stage in self.stages.items():
            if name != PUBLISH and not stage.environment and set(stage.needs) <= set(found):
                found.append(name)
        return tuple(found)

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments in the order the pipeline reaches them."""
        return tuple(s.environment for s in self.stages.values() if s.environment)

    @property
    def levels(self) -> tuple[str, ...]:
        """What an artifact reaches after it was published, in order; devpi has an index for each.

        They are the environments; where there are none, the last stage, if it needs publish.
        """
        last = list(self.stages.values())[-1:]
        return self.environments or tuple(s.name for s in last if PUBLISH in s.needs)

    def source(self, level: str) -> Index:
        """Return the index that a level takes artifacts from.

        The first one takes what was published; those after it what was let in.
        """
        if isinstance(self.index, Devpi) and level in self.levels[1:]:
            return self.index.at(level)
        return self.index

    @property
    def delivered(self) -> Index:
        """The index that has what went through all stages."""
        if isinstance(self.index, Devpi) and self.levels:
            return self.index.at(self.levels[-1])
        return self.index


def load(root: Path) -> Config:
    """Return the configuration of the project in ``root``.

    Raises:
        UsageError: a file is missing or no TOML, a key is unknown, missing or of the wrong type,
            a stage needs one that does not come before it.
    """
    project = tables.parse(root / "pyproject.toml").get("project")
    if not isinstance(project, dict) or not isinstance(project.get("name"), str):
        raise UsageError("pyproject.toml [project]: name is missing")
    table = tables.parse(root / "delivery.toml")
    names = ("ci", "ledger", "lock", "performance", "retention", "stages", "system")
    tables.check(
        table,
        {"index": str, "upload": str, **dict.fromkeys(names, dict)},
        "delivery.toml",
        ("index", "stages"),
    )
    ledger = table.get("ledger", {})
    tables.check(ledger, {"remote": str}, "delivery.toml [ledger]")
    lock = table.get("lock", {})
    tables.check(lock, {"cool-off": (int, float)}, "delivery.toml [lock]")
    if lock.get("cool-off", 0) < 0:
        raise UsageError("delivery.toml [lock]: cool-off is days, 0 or more")
    ci = table.get("ci", {})
    tables.check(ci, {"branch": str, "runner": str}, "delivery.toml [ci]")
    for key, value in ci.items():
        if not tables.PLAIN.fullmatch(value) and (value or key == "branch"):
            raise UsageError(
                f"delivery.toml [ci]: {key} cannot be {value!r}: letters, digits, ._/-"
            )
    stages = tables.stages(table["stages"])
    floor = re.search(r">=\s*(\d+)\.(\d+)", str(project.get("requires-python")))
    return Config(
        root=root,
        name=project["name"],
        python=(int(floor[1]), int(floor[2])) if floor else (3, 11),
        index=at(_here(table["index"]), root, table.get("upload")),
        remote=os.environ.get("DELIVERY_LEDGER_REMOTE", ledger.get("remote", "")),
        push=os.environ.get("DELIVERY_LEDGER_PUSH") != "no",
        stages=stages,
        cool_off=lock.get("cool-off", 0),
        performance=tables.limits(table.get("performance", {})),
        retention=tables.retention(table.get("retention", {})),
        system=tables.system(table.get("system", {})),
        **ci,
    )


def _here(index: str) -> str:
    return index.replace("{data}", str(data_home())) if "{data}" in index else index


def data_home() -> Path:
    """Return the user's data directory (XDG Base Directory Specification)."""
    return base("XDG_DATA_HOME", ".local", "share")
