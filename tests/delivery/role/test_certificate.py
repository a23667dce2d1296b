"""A certificate that no front could start with is told before anything is touched."""

from __future__ import annotations

import subprocess

import pytest
from service_host.errors import Refused
from service_host.tls import Tls

PLAIN = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
KINDS = {
    "own": PLAIN,
    "other": PLAIN,
    "weak": "-newkey rsa:1024 -nodes",
    "locked": "-newkey rsa:2048 -passout pass:open-sesame",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Certificates that vouch for themselves, and their keys."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, kind in KINDS.items():
        command = f"openssl req -x509 {kind} -subj /CN=tiny -keyout {name}.key -out {name}.pem"
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    texts["chain.pem"] = f"# Größe\r\n{texts['own.pem']}{texts['other.pem']}"
    texts["no.pem"], texts["no.key"] = "-----BEGIN nonsense", texts["own.key"][:90]
    return texts


@pytest.mark.parametrize(
    ("certificate", "key"),
    [("own.pem", "own.key"), ("chain.pem", "own.key"), ("weak.pem", "weak.key")],
)
def test_certificate_and_its_key_are_taken(
    made: dict[str, str], certificate: str, key: str
) -> None:
    Tls(443, "tiny.example", made[certificate], made[key]).check()


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("own.pem", "other.key", "service_certificate_key is the key of another certificate"),
        ("own.pem", "weak.key", "service_certificate_key is the key of another certificate"),
        ("no.pem", "own.key", "service_certificate has no certificate in it"),
        ("own.key", "own.key", "service_certificate has no certificate in it"),
        ("own.pem", "no.key", "service_certificate_key has no key that opens"),
        ("own.pem", "own.pem", "service_certificate_key has no key that opens"),
        ("locked.pem", "locked.key", "service_certificate_key has no key that opens"),
    ],
)
def test_certificate_that_cannot_be_used_is_refused(
    made: dict[str, str], certificate: str, key: str, said: str
) -> None:
    with pytest.raises(Refused, match=f"^{said}.*; the front is as it was.$"):
        Tls(443, "tiny.example", made[certificate], made[key]).check()
