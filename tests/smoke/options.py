"""What can be answered, every pair of it, and the few projects that run all of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
Row = dict[str, str]
Answers = dict[str, Any]

URL = "https://git.example.org/acme/parcels"
# Projects that walk for real: each option's values, between them. The first three are walked by
# tests/project, on this machine into production; the others by tests/smoke, into the index.
WALKED: dict[str, Answers] = {
    "flask": {},
    "fastapi": {
        "project_name": "Fast Parcel",
        "framework": "fastapi",
        "linter": "ruff",
        "license": "BSD-3-Clause",
        "environments": ["acceptance", "staging", "production"],
        "forms": ["oci"],
    },
    "django": {
        "project_name": "Moved Parcel",
        "framework": "django",
        "license": "MPL-2.0",
        "author_email": "ada@example.org",
        "forms": ["deb"],
    },
    "library": {
        "project_name": "Parcel Paper",
        "kind": "library",
        "linter": "ruff",
        "license": "GPL-3.0-or-later",
        "import_name": "acme.paper",
        "python_floor": "3.13",
        "ci": [],
    },
    "cli": {
        "project_name": "Parcel Desk",
        "kind": "cli",
        "license": "Apache-2.0",
        "command_name": "desk",
        "repository_url": URL,
        "python_floor": "3.12",
    },
    "another library": {
        "project_name": "Parcel String",
        "kind": "library",
        "distribution_name": "acme-string",
        "license": "Proprietary",
        "ci": [],
    },
}


def questions() -> dict[str, Any]:
    """Return the questions that can be answered, as copier.yml has them."""
    asked = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    known = asked["known_answers"]["default"].split()
    return {name: asked[name] for name in known}


def choices(name: str) -> list[str]:
    """Return what may be chosen."""
    listed = questions()[name]["choices"]
    return [str(value) for value in (listed.values() if isinstance(listed, dict) else listed)]


def options() -> dict[str, dict[str, Answers]]:
    """Return the options: of each the values by a name, and of a value the answers that it is."""
    plain = {
        name: {value: {name: value} for value in choices(name)}
        for name in ("license", "linter", "python_floor")
    }
    systems = choices("ci")
    places = [name for name in choices("environments") if name != "acceptance"]
    sets = [
        [*some] for size in range(len(places) + 1) for some in itertools.combinations(places, size)
    ]
    return {
        **plain,
        "flavour": {
            **{name: {"kind": "service", "framework": name} for name in choices("framework")},
            **{name: {"kind": name} for name in choices("kind") if name != "service"},
        },
        "ci": {
            "none": {"ci": []},
            **{name: {"ci": [name]} for name in systems},
            **({"all": {"ci": systems}} if len(systems) > 1 else {}),
        },
        "environments": {
            "+".join(some) or "only": {"environments": ["acceptance", *some]} for some in sets
        },
        "forms": {
            "none": {"forms": []},
            **{name: {"forms": [name]} for name in choices("forms")},
            "both": {"forms": choices("forms")},
        },
        "names": {
            "plain": {},
            "namespace": {"import_name": "acme.parcels", "distribution_name": "acme-parcels"},
        },
        "metadata": {
            "few": {},
            "all": {"repository_url": URL, "author_email": "ada@example.org"},
        },
    }


def pairs(row: Row) -> Iterator[frozenset[tuple[str, str]]]:
    """Return every two values that a row has together."""
    return map(frozenset, itertools.combinations(row.items(), 2))


def pairwise(values: dict[str, list[str]]) -> list[Row]:
    """Return rows in which every two values of different options are together at least once.

    Args:
        values: of each option.
    """
    missing = {
        frozenset([(one, a), (other, b)])
        for one, other in itertools.combinations(values, 2)
        for a in values[one]
        for b in values[other]
    }
    rows = []
    while missing:
        row: Row = dict(min(missing, key=sorted))
        for name in values:
            if name not in row:
                counts = {
                    value: sum(pair in missing for pair in pairs(row | {name: value}))
                    for value in values[name]
                }
                row[name] = max(counts, key=lambda value: counts[value])
        missing -= set(pairs(row))
        rows.append({name: row[name] for name in values})
    return rows


def rows() -> list[Row]:
    """Return the rows for all options."""
    return pairwise({name: [*values] for name, values in options().items()})


def answered(row: Row) -> Answers:
    """Return the answers that a row stands for, but for those that its kind has not."""
    known, asked = options(), questions()
    told = {
        name: answer
        for option, value in row.items()
        for name, answer in known[option][value].items()
    }
    kind = f"'{told.get('kind', 'service')}'"
    return {name: answer for name, answer in told.items() if kind in asked[name].get("when", kind)}
