"""An untouched project, updated, is a fresh copy with the same answers; once is once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from delivery.git import Git
from delivery.template import conflicts

from tests.update.conftest import NEWEST, RELEASES, Begin, content, fresh, merged, once, update

# What could be answered since which release.
ANSWERS: dict[str, tuple[str, dict[str, object]]] = {
    "nothing": ("v0.1.0", {}),
    "all": (
        "v0.1.0",
        {
            "project_name": "Parcel_Office 2",
            "description": 'Says "no\\yes" — ü',
            "author_email": "ada@example.org",
            "license": "Proprietary",
            "python_floor": "3.13",
            "ci": [],
        },
    ),
    "library": ("v0.4.0", {"kind": "library", "linter": "ruff", "import_name": "acme.parcels"}),
    "cli": ("v0.4.0", {"kind": "cli", "license": "Apache-2.0", "command_name": "parcel"}),
    "django": ("v0.4.0", {"framework": "django", "linter": "ruff", "license": "MPL-2.0"}),
    "all ci": ("v0.6.0", {"ci": ["github", "gitlab", "jenkins", "buildbot"]}),
    "forms": ("v0.7.0", {"forms": ["oci", "deb"]}),
    "fastapi": ("v0.4.0", {"framework": "fastapi", "environments": ["acceptance", "staging"]}),
}


CASES = [
    pytest.param(tag, answers, id=f"{tag}-{name}")
    for name, (since, answers) in ANSWERS.items()
    for tag in (RELEASES if name == "nothing" else dict.fromkeys((since, list(RELEASES)[-1])))
]


@pytest.mark.parametrize(("tag", "answers"), CASES)
def test_it_is_a_fresh_copy(
    skeleton: Path, begin: Begin, tag: str, answers: dict[str, object]
) -> None:
    project = begin(tag, **answers)
    before = content(project)
    update(project)
    after = content(project)
    assert not conflicts(Git(project))
    assert merged(after) == merged(fresh(project, skeleton))
    assert once(after) == once(before)
    assert f"_commit: {NEWEST}\n".encode() in after[".copier-answers.yml"][1]


def test_the_changelog_parts_what_is_new_from_the_releases(skeleton: Path) -> None:
    text = (skeleton / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *others = re.findall(r"^## (.*)$", text, re.M)
    assert first == "Unreleased"
    named = re.findall(r"\d+\.\d+\.\d+", " ".join(others))
    tags = [tag.removeprefix("v") for tag in RELEASES]
    assert (named[-1], max(named)) == (tags[0], tags[-1])
