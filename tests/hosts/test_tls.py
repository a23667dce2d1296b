"""The front speaks TLS: by a certificate that it was given, or by one of its own authority."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_host import requests

from tests.delivery.role.wheels import NAME

from .conftest import Service
from .lab import Lab

pytestmark = pytest.mark.hosts

DOMAIN = "tiny.example"
ASK = """
import http.client, json, socket, ssl, sys
address, name, authority = sys.argv[1:]
plain = socket.create_connection((address, 443), 10)
connection = http.client.HTTPConnection(name)
context = ssl.create_default_context(cafile=authority)
connection.sock = context.wrap_socket(plain, server_hostname=name)
connection.request("GET", "/version")
answer = json.loads(connection.getresponse().read())
print(json.dumps(answer | {"serial": connection.sock.getpeercert()["serialNumber"]}))
"""
COUNTED = f"""
import socket
plain = socket.socket(socket.AF_UNIX)
plain.connect("/run/{NAME}-front/admin.sock")
plain.sendall(b"GET /metrics HTTP/1.0\\r\\nHost: front\\r\\n\\r\\n")
print(plain.makefile().read().partition("\\n\\n")[2])
"""


@pytest.fixture(scope="module")
def secure(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on a host that had none, for a name."""
    service = Service(lab, tmp_path_factory.mktemp("tls"), ("h5",))
    service.variables = {"service_domains": [DOMAIN], "service_tls": "internal"}
    run = service.deploy(service.wheel("1.0"))["h5"]
    assert run.ok, run.output
    yield service
    assert service.gone()["h5"].ok
    assert service.hosts[0].sh(f"find /var/lib /etc /opt -name '{NAME}*'") == ""


def ask(service: Service, authority: Path) -> dict[str, Any]:
    """Ask for the version by TLS, and trust one authority alone."""
    words = [sys.executable, "-c", ASK, service.hosts[0].address, DOMAIN, str(authority)]
    done = service.lab.run(words, capture_output=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told


def certified(folder: Path) -> tuple[Path, dict[str, object]]:
    """Return a certificate that vouches for itself, and the variables that give it."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    command += f" -subj /CN=tiny -addext subjectAltName=DNS:{DOMAIN} -keyout own.key -out own.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    given: dict[str, object] = {
        "service_tls": "given",
        "service_certificate": (folder / "own.pem").read_text(),
        "service_certificate_key": (folder / "own.key").read_text(),
    }
    return folder / "own.pem", given


def test_plain_http_leads_to_https(secure: Service) -> None:
    host = secure.hosts[0]
    code = "import http.client as h, sys; c = h.HTTPConnection(sys.argv[1], timeout=10);"
    code += "c.request('GET', '/a?b=c', headers={'Host': sys.argv[2]}); r = c.getresponse();"
    code += "print(r.status, r.headers['Location'])"
    words = [sys.executable, "-c", code, host.address, DOMAIN]
    done = secure.lab.run(words, capture_output=True, check=True)
    assert done.stdout == f"308 https://{DOMAIN}/a?b=c\n"


def test_the_front_makes_a_certificate_by_an_authority_of_its_own(secure: Service) -> None:
    kept = secure.hosts[0].disk / f"var/lib/private/{NAME}-front"
    assert ask(secure, kept / "pki/authorities/local/root.crt")["version"] == "1.0"
    run = secure.deploy(secure.wheel("1.0"))["h5"]
    assert run.ok and not run.host["changed"], run.output
    assert run.host["url"] == f"https://{DOMAIN}"


def test_the_front_counts_what_is_asked_by_tls_once(secure: Service) -> None:
    host = secure.hosts[0]
    authority = host.disk / f"var/lib/private/{NAME}-front/pki/authorities/local/root.crt"
    before = requests.parse_front(host.sh(f"python3 -c '{COUNTED}'"))
    ask(secure, authority)
    after = requests.parse_front(host.sh(f"python3 -c '{COUNTED}'"))
    assert (after.requests, after.failed) == (before.requests + 1, before.failed)
    assert after.buckets["+Inf"] == before.buckets["+Inf"] + 1


def test_a_given_certificate_is_taken_and_its_key_stays_hidden(
    secure: Service, tmp_path: Path
) -> None:
    host = secure.hosts[0]
    authority, given = certified(tmp_path)
    secure.variables |= given
    run = secure.deploy(secure.wheel("1.0"), "-vvvv", "--diff")["h5"]
    assert run.ok, run.output
    assert ask(secure, authority)["version"] == "1.0"
    secret = str(given["service_certificate_key"]).splitlines()[1]
    assert secret not in run.output
    assert secret not in host.sh("ps -efww; systemctl show --all '*'; journalctl --no-pager")
    found = f"grep --recursive --files-with-matches {secret} /etc /opt /var | xargs stat"
    assert host.sh(f"{found} --format='%a %U %n'") == f"600 root /opt/{NAME}/key.pem"
    said = host.sh(f"systemd-analyze security --no-pager {NAME}-front.service").splitlines()[-1]
    exposure = re.search(r"([0-9.]+) OK", said)
    assert exposure and float(exposure[1]) <= 1.5, said
    run = secure.deploy(secure.wheel("1.0"))["h5"]
    assert run.ok and not run.host["changed"], run.output


def test_a_renewed_certificate_costs_no_request(secure: Service, tmp_path: Path) -> None:
    authority, given = certified(tmp_path)
    secure.variables |= given
    with secure.load(secure.hosts[0], "--clients=4", url=f"https://{DOMAIN}") as count:
        run = secure.deploy(secure.wheel("1.0"))["h5"]
    assert run.ok and run.host["changed"], run.output
    assert ask(secure, authority)["version"] == "1.0"
    assert count["failed"] == 0, count


def test_tls_without_a_name_or_a_certificate_is_refused(secure: Service) -> None:
    before = secure.variables
    secure.variables = {**before, "service_domains": []}
    run = secure.deploy(secure.wheel("1.1"))["h5"]
    assert "give service_domains one" in run.host["reason"], run.output
    secure.variables = {**before, "service_tls": "given", "service_certificate_key": ""}
    run = secure.deploy(secure.wheel("1.1"))["h5"]
    secure.variables = before
    assert "give service_certificate and service_certificate_key" in run.host["reason"]


def test_a_name_alone_is_a_list_of_one(secure: Service) -> None:
    before = secure.variables
    secure.variables = {**before, "service_domains": DOMAIN}
    run = secure.deploy(secure.wheel("1.0"))["h5"]
    secure.variables = before
    assert run.ok and not run.host["changed"], run.output
    assert run.host["url"] == f"https://{DOMAIN}"


def test_a_refused_caddyfile_leaves_the_front_as_it_was(secure: Service) -> None:
    host, before = secure.hosts[0], secure.variables
    running = f"cat /opt/{NAME}/Caddyfile; systemctl show --property=MainPID {NAME}-front"
    was = host.sh(running)
    secure.variables = {**before, "service_domains": [DOMAIN, "{"]}
    run = secure.deploy(secure.wheel("1.0"))["h5"]
    secure.variables = before
    assert not run.ok
    said = run.host["reason"]
    assert said.startswith(f"Caddy refuses the Caddyfile that is made for /opt/{NAME}: "), said
    assert said.endswith(": look at service_domains; the front is as it was."), said
    assert host.sh(running) == was
    run = secure.deploy(secure.wheel("1.0"))["h5"]
    assert run.ok and not run.host["changed"], run.output
