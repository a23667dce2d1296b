"""``delivery.toml``, and the little of ``pyproject.toml`` that the pipeline needs, checked."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .artifact.index import Index, at
from .errors import UsageError

STAGE_NAME = re.compile(r"[a-z][a-z0-9-]*")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?")
APPROVAL = ("approval", "four_eyes", "approval_days")
BUILD = "build"  # the stage that makes the artifact; what needs it, however remotely, handles it


@dataclass(frozen=True)
class Stage:
    """One level of the pipeline: one tox environment of the same name.

    Attributes:
        name: its name, in ``delivery.toml`` and in ``tox.toml``.
        budget: what it may take, in seconds, on two cores with warm caches.
        needs: the stages that must have passed before it.
        tests: whether it is red when it ran no test.
        environment: the environment it deploys to, if any; its inventory has the same name.
        artifact: whether it handles the artifact: it is ``build``, or needs it.
        approval: whether somebody has to approve the artifact first.
        four_eyes: whether that has to be somebody else than the author of the commit.
        approval_days: how long an approval holds, in days.
    """

    name: str
    budget: float
    needs: tuple[str, ...] = ()
    tests: bool = False
    environment: str | None = None
    artifact: bool = False
    approval: bool = False
    four_eyes: bool = False
    approval_days: float = 7


@dataclass(frozen=True)
class Limits:
    """What a path of the deployed service has to bear.

    Attributes:
        rate: requests a second.
        p50: what half of them may take, in milliseconds.
        p95: what 95 of 100 may take, in milliseconds.
        p99: what 99 of 100 may take, in milliseconds.
        seconds: for how long it is asked.
    """

    rate: float
    p50: float
    p95: float
    p99: float
    seconds: float = 3.0


@dataclass(frozen=True)
class Retention:
    """What of the index is kept, besides releases with a tag and what is live.

    Attributes:
        newest: so many artifacts, the newest ones.
        days: what an environment ran within so many days.
    """

    newest: int = 50
    days: float = 90


@dataclass(frozen=True)
class Config:
    """The pipeline of one project.

    Attributes:
        root: the project's top folder.
        name: the distribution's name, from ``pyproject.toml``.
        python: the oldest Python the project runs on, as (major, minor).
        index: where artifacts are published to.
        remote: the git remote the ledger is shared through; empty: it stays in this clone.
        stages: the stages by name, in the pipeline's order.
        cool_off: days that a release has to be old before a lock takes it; 0: any.
        performance: the limits of the paths that the stage of that name asks for.
        retention: what ``prune`` keeps.
        system: the Debian packages that a release needs of the system.
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
    def environments(self) -> tuple[str, ...]:
        """The environments in the order the pipeline reaches them."""
        return tuple(s.environment for s in self.stages.values() if s.environment)


def load(root: Path) -> Config:
    """Return the configuration of the project in ``root``.

    Raises:
        UsageError: a file is missing or no TOML, a key is unknown, missing or of the wrong type,
            a stage needs one that does not come before it.
    """
    project = _parse(root / "pyproject.toml").get("project", {})
    table = _parse(root / "delivery.toml")
    names = ("ledger", "lock", "performance", "retention", "stages", "system")
    tables = dict.fromkeys(names, dict)
    _check(table, {"index": str, **tables}, "delivery.toml", ("index", "stages"))
    ledger = table.get("ledger", {})
    _check(ledger, {"remote": str}, "delivery.toml [ledger]")
    lock = table.get("lock", {})
    _check(lock, {"cool-off": (int, float)}, "delivery.toml [lock]")
    if lock.get("cool-off", 0) < 0:
        raise UsageError("delivery.toml [lock]: cool-off is days, 0 or more")
    floor = re.search(r">=\s*(\d+)\.(\d+)", project.get("requires-python", ""))
    return Config(
        root=root,
        name=project["name"],
        python=(int(floor[1]), int(floor[2])) if floor else (3, 11),
        index=at(table["index"].replace("{data}", str(data_home())), root),
        remote=os.environ.get("DELIVERY_LEDGER_REMOTE", ledger.get("remote", "")),
        stages=_stages(table["stages"]),
        cool_off=lock.get("cool-off", 0),
        performance=_limits(table.get("performance", {})),
        retention=_retention(table.get("retention", {})),
        system=_system(table.get("system", {})),
    )


def data_home() -> Path:
    """Return the user's data directory (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: run this in a project's own folder") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def _check(table: Any, keys: Mapping[str, Any], place: str, required: tuple[str, ...] = ()) -> None:
    if not isinstance(table, dict):
        raise UsageError(f"{place}: expected a table, found {table!r}")
    for key, value in table.items():
        if key not in keys:
            raise UsageError(f"{place}: unknown key {key!r} (known: {', '.join(keys)})")
        if not isinstance(value, keys[key]) or (isinstance(value, bool) and keys[key] is not bool):
            raise UsageError(f"{place}: {key} cannot be {value!r}")
    for key in required:
        if key not in table:
            raise UsageError(f"{place}: {key} is missing")


def _system(table: Mapping[str, Any]) -> tuple[str, ...]:
    place = "delivery.toml [system]"
    _check(table, {"packages": list}, place)
    names = table.get("packages", [])
    for name in names:
        if not (isinstance(name, str) and PACKAGE.fullmatch(name)):
            raise UsageError(f"{place}: packages has {name!r}, which is no Debian package's name")
    return tuple(names)


def _retention(table: Mapping[str, Any]) -> Retention:
    place = "delivery.toml [retention]"
    _check(table, {"newest": int, "days": (int, float)}, place)
    found = Retention(**table)
    if found.newest < 1:
        raise UsageError(f"{place}: newest is 1 or more, not {found.newest}")
    if not 0 <= found.days < math.inf:
        raise UsageError(f"{place}: days is 0 or more, not {found.days}")
    return found


def _limits(tables: Mapping[str, Any]) -> dict[str, Limits]:
    keys = {field.name: (int, float) for field in fields(Limits)}
    limits: dict[str, Limits] = {}
    for path, table in tables.items():
        place = f'delivery.toml [performance."{path}"]'
        if not path.startswith("/"):
            raise UsageError(f"{place}: a path begins with /")
        _check(table, keys, place, ("rate", "p50", "p95", "p99"))
        for key, value in table.items():
            if not 0 < value < math.inf:
                raise UsageError(f"{place}: {key} is more than 0, not {value}")
        limits[path] = Limits(**table)
    return limits


def _stages(tables: Mapping[str, Any]) -> dict[str, Stage]:
    keys = {
        "budget": (int, float),
        "needs": list,
        "tests": bool,
        "environment": str,
        "approval": bool,
        "four_eyes": bool,
        "approval_days": (int, float),
    }
    stages: dict[str, Stage] = {}
    for name, table in tables.items():
        place = f"delivery.toml [stages.{name}]"
        if not STAGE_NAME.fullmatch(name):
            raise UsageError(f"{place}: a stage's name is lower-case letters, digits and dashes")
        _check(table, keys, place, ("budget",))
        if not 0 < table["budget"] < math.inf:
            raise UsageError(f"{place}: budget is seconds, more than 0, not {table['budget']}")
        _approval(table, place)
        needs = tuple(table.get("needs", ()))
        for need in needs:
            if need not in stages:
                raise UsageError(f"{place}: needs {need!r}, which is no stage before it")
        artifact = name == BUILD or any(stages[need].artifact for need in needs)
        if table.get("environment") and not artifact:
            raise UsageError(f"{place}: deploys, so it has to need {BUILD!r} or a stage that does")
        stages[name] = Stage(
            name,
            float(table["budget"]),
            needs,
            table.get("tests", False),
            table.get("environment"),
            artifact,
            **{key: table[key] for key in APPROVAL if key in table},
        )
    return stages


def _approval(table: Mapping[str, Any], place: str) -> None:
    if table.get("approval") and not table.get("environment"):
        raise UsageError(f"{place}: approval is for a stage with an environment")
    for key in APPROVAL[1:]:
        if key in table and not table.get("approval"):
            raise UsageError(f"{place}: {key} says nothing without approval = true")
    if table.get("approval_days", 1) <= 0:
        raise UsageError(f"{place}: approval_days is more than 0, not {table['approval_days']}")
