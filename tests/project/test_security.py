"""What ships is looked up in an advisory database; what was not is never called good."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .advisories import Advisories
from .conftest import Service

pytestmark = pytest.mark.slow


@pytest.fixture
def flaws() -> Iterator[dict[str, str]]:
    """Return what the database knows of packages, to be added to; it is forgotten afterwards."""
    yield Advisories.flaws
    Advisories.flaws.clear()


def newest(service: Service) -> str:
    """Return what the stage said the last time."""
    logs = (service.root / ".delivery/logs").rglob("security.*.log")
    return max(logs, key=lambda path: path.stat().st_mtime_ns).read_text()


def test_what_nobody_knows_bad_of_is_green(green: Service) -> None:
    said = green.delivery("run", "security")
    assert "NOTE" not in said
    assert "requirements have no known vulnerability" in newest(green)


def test_what_was_seen_to_have_no_secret_is_not_looked_at_again(green: Service) -> None:
    green.delivery("run", "security")
    assert " files, 0 of them new or changed" in newest(green)
    seen = green.root / ".delivery/no-secrets"
    seen.write_bytes(b"\xff\n" + b"\n".join(seen.read_bytes().split()[1:]))  # damaged, too
    green.delivery("run", "security")
    assert " files, 1 of them new or changed" in newest(green)
    key = "AKIA" + "Q7R2" * 4
    (green.root / "docs/key.txt").write_text(f"key = '{key}'\n")
    green.commit("Leak")
    said = green.delivery("run", "security", status=1)
    assert "looks like a secret" in said and "docs/key.txt" in newest(green)
    # What is red is looked at until it is taken out.
    green.delivery("run", "security", status=1)
    green.git("reset", "--quiet", "--hard", "HEAD~1")
    green.delivery("run", "security")


def test_a_known_vulnerability_is_red_and_named(green: Service, flaws: dict[str, str]) -> None:
    flaws["flask"] = "PYSEC-2099-1"
    said = green.delivery("run", "security", status=1)
    assert "flask 3." in said
    assert "PYSEC-2099-1, mended in 99.1" in said


def test_a_database_out_of_reach_is_told_and_makes_nothing_good(green: Service) -> None:
    nobody = "http://127.0.0.1:9/v1/query"
    said = green.delivery("run", "security", PIP_AUDIT_OSV_URL=nobody)
    assert "NOTE: requirements/prod.txt was not audited" in said
    green.edit("tox.toml", '"delivery", "security"]', '"delivery", "security", "--required"]')
    green.commit("Require an audit")
    said = green.delivery("run", "security", status=1, PIP_AUDIT_OSV_URL=nobody)
    assert "requirements/prod.txt was not audited" in said
