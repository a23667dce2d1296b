"""Buildbot's settings, and who may log in: what cannot be is refused before a master starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from delivery.ci import buildbot
from delivery.errors import UsageError


def test_a_password_is_kept_as_its_hash_and_fits_nothing_else(tmp_path: Path) -> None:
    password = buildbot.admit(tmp_path, "ada@example.org")
    text = (tmp_path / buildbot.PEOPLE).read_text()
    assert password not in text
    assert (tmp_path / buildbot.PEOPLE).stat().st_mode & 0o077 == 0
    told = buildbot.people(tmp_path)["ada@example.org"]
    assert buildbot.fits(password, told)
    assert not buildbot.fits(password + "x", told)


@pytest.mark.parametrize("name", ["", "Ada Lovelace", "ada:root", "ada\n"])
def test_a_name_that_cannot_log_in_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot log in"):
        buildbot.admit(tmp_path, name)


@pytest.mark.parametrize(
    ("workers", "deployers", "delivers", "tests"),
    [
        ((), (), ["local"], ["local"]),
        (("a", "b"), (), ["a", "b"], ["a", "b"]),
        (("a", "b", "c"), ("b",), ["b"], ["a", "c"]),
        (("a",), ("a",), ["a"], ["a"]),
    ],
)
def test_a_worker_that_deploys_tests_nothing_where_another_can(
    workers: tuple[str, ...], deployers: tuple[str, ...], delivers: list[str], tests: list[str]
) -> None:
    told = buildbot.Settings(workers=workers, deployers=deployers)
    assert (told.agents(True), told.agents(False)) == (delivers, tests)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = 'x'", "port cannot be 'x'"),
        ("prot = 1", "unknown key 'prot'"),
        ("port", "cannot be read"),
        ("workers = ['a']\ndeployers = ['b']", "b deploys, but is none of workers"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / buildbot.SETTINGS).write_text(text)
    with pytest.raises(UsageError, match=said):
        buildbot.settings(tmp_path)
