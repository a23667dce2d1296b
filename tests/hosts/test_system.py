"""What a release needs of the system is installed on its hosts, and asks nobody."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest

from .conftest import Service

pytestmark = pytest.mark.hosts

# It asks, and waits for an answer, unless it is told that nobody is there.
CONFIG = """#!/bin/sh
. /usr/share/debconf/confmodule
db_input critical libtiny0/word || true
db_go || true
"""
TEMPLATES = """Template: libtiny0/word
Type: string
Description: Which word?
"""


def archive(folder: Path) -> None:
    """Make a Debian archive of one package."""
    package, control = folder / "package", folder / "package/DEBIAN"
    control.mkdir(parents=True)
    about = (
        "Package: libtiny0\nVersion: 1.5-1\nArchitecture: all\nMaintainer: Ada <ada@example.org>\n"
    )
    about += "Depends: debconf\nDescription: a small library\n"
    (control / "control").write_text(about)
    (control / "templates").write_text(TEMPLATES)
    for name in ("config", "postinst"):
        (control / name).write_text(CONFIG)
        (control / name).chmod(0o755)
    deb = folder / "libtiny0.deb"
    build = ["dpkg-deb", "--build", "--root-owner-group", str(package), str(deb)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    sha256 = hashlib.sha256(deb.read_bytes()).hexdigest()
    where = f"Filename: ./libtiny0.deb\nSize: {deb.stat().st_size}\nSHA256: {sha256}\n"
    (folder / "Packages.gz").write_bytes(gzip.compress((about + where).encode()))


def test_a_package_is_installed_without_a_question_and_recorded(one: Service) -> None:
    (host,) = one.hosts
    disk = Path(host.disk)
    archive(disk / "srv/apt")
    for source in (disk / "etc/apt").glob("sources.list*/*"):
        source.unlink()
    (disk / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/apt ./\n")
    host.sh("touch --date='2 days ago' /var/lib/apt/lists")
    wanted = one.wheel("1.9")
    run = one.deploy(wanted, service_packages=["libtiny0"])["h1"]
    assert run.ok, run.output
    assert run.host["system"] == ["libtiny0 1.5-1"]
    assert "install ok installed" in host.sh("dpkg-query --status libtiny0")
    again = one.deploy(wanted, service_packages=["libtiny0"])["h1"]
    assert again.ok and "changed=0" in again.output, again.output
    lost = one.deploy(one.wheel("1.9.1"), service_packages=["libnowhere0"])["h1"]
    assert not lost.ok and "libnowhere0" in lost.host["reason"]
    assert one.live() == ["1.9"]
