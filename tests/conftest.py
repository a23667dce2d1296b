"""What every test starts from: nothing of the person who runs it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.quick import quick_copier

__all__ = ["quick_copier"]
ROOT = Path(__file__).parents[1]
# What was started in the background ignores an interrupt, and hands that on to all it starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# What would lead git, Copier, pytest or the service away from what a test set up.
LEAKS = (
    *("GIT_", "COPIER_", "DELIVERY_", "SERVICE_", "TOX_", "VIRTUAL_ENV", "CI"),
    *("PYTEST_ADDOPTS", "PYTHONPATH"),
)

# What a marked test needs of the machine, whether it is there, and how to have it.
NEEDS = {
    "root": (os.geteuid() == 0, "run it as root"),
    "browser": (
        bool(shutil.which("chromium") and shutil.which("chromedriver")),
        "apt-get install chromium chromium-driver",
    ),
}
HOSTS = ("systemd-nspawn", "mmdebstrap", "zstd", "ip", "ssh")
NEEDS["hosts"] = (
    os.geteuid() == 0 and all(map(shutil.which, HOSTS)),
    "as root, apt-get install systemd-container mmdebstrap zstd iproute2 openssh-client",
)
IMAGES = ("buildah", "podman", "runc")
NEEDS["images"] = (
    os.geteuid() == 0 and all(map(shutil.which, (*IMAGES, "mmdebstrap", "zstd"))),
    "as root, apt-get install buildah podman runc mmdebstrap zstd",
)
NEEDS["groovy"] = (
    bool(shutil.which("groovyc") and [*Path("/usr/lib/jvm").glob("java-17-openjdk-*/bin/java")]),
    "apt-get install groovy openjdk-17-jre-headless",
)
NEEDS["postgres"] = (
    any(Path("/usr/lib/postgresql").glob("*/bin/postgres")),
    "apt-get install postgresql",
)
IN_CI = "CI" in os.environ


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out, visibly, what this machine cannot run; in CI that is a failure."""
    for name, (there, remedy) in NEEDS.items():
        if item.get_closest_marker(name) and not there:
            (pytest.fail if IN_CI else pytest.skip)(f"needs {name}: {remedy}")


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
