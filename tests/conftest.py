"""What every test starts from: nothing of the person who runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What would lead git, Copier or the service away from what a test set up.
LEAKS = ("GIT_", "COPIER_", "DELIVERY_", "SERVICE_", "TOX_", "VIRTUAL_ENV", "PYTHONPATH", "CI")


@pytest.fixture(autouse=True)
def clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Give git an identity of the tests' own, and hide the caller's settings."""
    for name in os.environ:
        if name.startswith(LEAKS):
            monkeypatch.delenv(name)
    config = tmp_path_factory.getbasetemp() / "gitconfig"
    config.write_text(
        "[user]\nname = Ada Lovelace\nemail = ada@example.org\n[init]\ndefaultBranch = main\n"
        "[commit]\ngpgSign = false\n[protocol.file]\nallow = always\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("COPIER_SETTINGS_PATH", str(config.with_name("no-copier-settings.yml")))


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """The template's repository."""
    yield ROOT
