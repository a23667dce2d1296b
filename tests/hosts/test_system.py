"""What a release takes of the system: packages, without a question, and whom it trusts."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.role.wheels import REQUIREMENTS

from .conftest import Service
from .host import CONTROLLER
from .index import fill
from .lab import Lab

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
# An index that speaks TLS, by a certificate that some authority of the team's vouches for.
SERVE = """
import functools, http.server, ssl, sys
folder, address, port = sys.argv[1:]
pages = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
server = http.server.ThreadingHTTPServer((address, int(port)), pages)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{folder}/own.pem", f"{folder}/own.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
CERTIFY = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"


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


@pytest.fixture
def secured(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """The certificate of an authority, whose index is on port 8443 of the controller."""
    fill(tmp_path, [REQUIREMENTS])
    own = "-CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE"
    own += " -addext subjectAltName=DNS:controller -subj /CN=controller -keyout own.key"
    for words in ("-subj /CN=team -keyout ca.key -out ca.pem", f"{own} -out own.pem"):
        command = f"{CERTIFY} {words}".split()
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    serve = [sys.executable, "-c", SERVE, str(tmp_path), CONTROLLER, "8443"]
    null = subprocess.DEVNULL
    server = lab.start(serve, stdout=null, stderr=null)
    yield tmp_path / "ca.pem"
    server.terminate()
    server.wait()


def test_an_index_is_trusted_as_the_host_trusts(one: Service, secured: Path) -> None:
    (host,), trusted = one.hosts, "usr/local/share/ca-certificates/team.crt"
    wanted = one.wheel("1.9.5")
    one.variables = {"service_index": "https://controller:8443/simple"}
    run = one.deploy(wanted)["h1"]
    assert not run.ok and "certificate" in run.output, run.output
    (host.disk / trusted).write_text(secured.read_text())
    host.sh("update-ca-certificates")
    run = one.deploy(wanted)["h1"]
    one.variables = {}
    host.sh(f"rm /{trusted}; update-ca-certificates --fresh")
    assert run.ok, run.output
