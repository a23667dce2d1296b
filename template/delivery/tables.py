"""The tables of ``delivery.toml``: what each may say, checked."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import UsageError

STAGE_NAME = re.compile(r"[a-z][a-z0-9-]*")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?")
APPROVAL = ("approval", "four_eyes", "approval_days")
SECRET = re.compile(r"[A-Z][A-Z0-9_]*")
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")  # says the same in YAML, Groovy and a shell
PUBLISH = "publish"  # what needs it, however remotely, is for what is delivered
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
        four_eyes: whether that has to be somebody else than its commit's author and committer.
        approval_days: how long an approval holds, in days.
        secrets: the secrets a CI system hands to its job, by the names of variables.
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
    secrets: tuple[str, ...] = ()


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


def parse(path: Path) -> dict[str, Any]:
    """Return what a TOML file says.

    Raises:
        UsageError: it is missing, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: run this in a project's own folder") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def check(table: Any, keys: Mapping[str, Any], place: str, required: tuple[str, ...] = ()) -> None:
    """Check a table.

    Args:
        table: what should be one.
        keys: its keys, and the type or types each has.
        place: where it stands, for a person.
        required: the keys that have to be there.

    Raises:
        UsageError: it is none, or a key is unknown, missing or of another type.
    """
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


def system(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the Debian packages in ``[system]``.

    Raises:
        UsageError: it says what cannot be.
    """
    place = "delivery.toml [system]"
    check(table, {"packages": list}, place)
    names = table.get("packages", [])
    for name in names:
        if not (isinstance(name, str) and PACKAGE.fullmatch(name)):
            raise UsageError(f"{place}: packages has {name!r}, which is no Debian package's name")
    return tuple(names)


def retention(table: Mapping[str, Any]) -> Retention:
    """Return what ``[retention]`` says.

    Raises:
        UsageError: it says what cannot be.
    """
    place = "delivery.toml [retention]"
    check(table, {"newest": int, "days": (int, float)}, place)
    found = Retention(**table)
    if found.newest < 1:
        raise UsageError(f"{place}: newest is 1 or more, not {found.newest}")
    if not 0 <= found.days < math.inf:
        raise UsageError(f"{place}: days is 0 or more, not {found.days}")
    return found


def limits(tables: Mapping[str, Any]) -> dict[str, Limits]:
    """Return what ``[performance."PATH"]`` says of each path.

    Raises:
        UsageError: it says what cannot be.
    """
    keys = {field.name: (int, float) for field in fields(Limits)}
    found: dict[str, Limits] = {}
    for path, table in tables.items():
        place = f'delivery.toml [performance."{path}"]'
        if not path.startswith("/"):
            raise UsageError(f"{place}: a path begins with /")
        check(table, keys, place, ("rate", "p50", "p95", "p99"))
        for key, value in table.items():
            if not 0 < value < math.inf:
                raise UsageError(f"{place}: {key} is more than 0, not {value}")
        found[path] = Limits(**table)
    return found


def stages(tables: Mapping[str, Any]) -> dict[str, Stage]:
    """Return what ``[stages.NAME]`` says of each stage, in the order of the file.

    Raises:
        UsageError: it says what cannot be, or a stage needs one that does not come before it.
    """
    keys = {
        "budget": (int, float),
        "needs": list,
        "tests": bool,
        "environment": str,
        "approval": bool,
        "four_eyes": bool,
        "approval_days": (int, float),
        "secrets": list,
    }
    found: dict[str, Stage] = {}
    for name, table in tables.items():
        place = f"delivery.toml [stages.{name}]"
        if not STAGE_NAME.fullmatch(name):
            raise UsageError(f"{place}: a stage's name is lower-case letters, digits and dashes")
        check(table, keys, place, ("budget",))
        if not 0 < table["budget"] < math.inf:
            raise UsageError(f"{place}: budget is seconds, more than 0, not {table['budget']}")
        _approval(table, place)
        for secret in table.get("secrets", ()):
            if not isinstance(secret, str) or not SECRET.fullmatch(secret):
                raise UsageError(f"{place}: secrets are names of variables, not {secret!r}")
        needs = tuple(table.get("needs", ()))
        for need in needs:
            if not isinstance(need, str) or need not in found:
                raise UsageError(f"{place}: needs {need!r}, which is no stage before it")
        artifact = name == BUILD or any(found[need].artifact for need in needs)
        if table.get("environment") and not artifact:
            raise UsageError(f"{place}: deploys, so it has to need {BUILD!r} or a stage that does")
        found[name] = Stage(
            name,
            float(table["budget"]),
            needs,
            table.get("tests", False),
            table.get("environment"),
            artifact,
            **{key: table[key] for key in APPROVAL if key in table},
            secrets=tuple(table.get("secrets", ())),
        )
    return found


def _approval(table: Mapping[str, Any], place: str) -> None:
    if table.get("approval") and not table.get("environment"):
        raise UsageError(f"{place}: approval is for a stage with an environment")
    for key in APPROVAL[1:]:
        if key in table and not table.get("approval"):
            raise UsageError(f"{place}: {key} says nothing without approval = true")
    if table.get("approval_days", 1) <= 0:
        raise UsageError(f"{place}: approval_days is more than 0, not {table['approval_days']}")
