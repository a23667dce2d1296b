"""How the front speaks TLS, and the certificate that it was given for that."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from .errors import Refused
from .files import discard, holds, write

# What OpenSSL says when the key is another one, or one of another kind.
MISMATCHED = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


@dataclass(frozen=True)
class Tls:
    """The port and the first name of the front; a certificate that is not told stays as it is."""

    port: int
    host: str
    certificate: str | None = None
    key: str | None = None

    def check(self) -> None:
        """Refuse what lacks a name, or a certificate that is to be given, with its key."""
        if not self.host:
            raise Refused("service_tls needs a name to speak for: give service_domains one.")
        if "" in (self.certificate, self.key):
            raise Refused(
                "service_tls is given, and the certificate is not: give service_certificate and"
                " service_certificate_key their PEM texts."
            )
        if self.certificate and self.key and (problem := unfit(self.certificate, self.key)):
            raise Refused(f"{problem}; the front is as it was.")

    def wrong(self, root: Path) -> dict[str, str]:
        """Return the files of the certificate that are not as they should be."""
        told = {"certificate.pem": self.certificate, "key.pem": self.key}
        return {n: text for n, text in told.items() if text and not holds(root / n, text, 0o600)}

    def keep(self, root: Path) -> list[str]:
        """Keep the certificate where systemd takes it from; return which files that changed.

        Another certificate changes the unit of the front, which tells its digest.
        """
        changed = self.wrong(root)
        for name, text in changed.items():
            write(root / name, text, 0o600)
        return list(changed)


def unfit(certificate: str, key: str) -> str | None:
    """Say why a front could not start with a certificate and a key, if it could not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # How strong a key has to be is for those who ask for it to say.
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        context.load_verify_locations(cadata=certificate.encode("ascii", "ignore").decode())
    except (ssl.SSLError, ValueError):
        return "service_certificate has no certificate in it: give it its PEM text"
    # Files in memory, for a key that may be no good is not to lie about.
    pair = [os.memfd_create(name) for name in ("certificate", "key")]
    certificates, private = (f"/proc/self/fd/{handle}" for handle in pair)
    try:
        for handle, text in zip(pair, (certificate, key), strict=True):
            os.write(handle, text.encode())
        # A key that has a password has nobody to ask for it.
        context.load_cert_chain(certificates, private, password="")
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", "") in MISMATCHED:
            return "service_certificate_key is the key of another certificate"
        return "service_certificate_key has no key that opens without a password: give its PEM text"
    finally:
        for handle in pair:
            os.close(handle)
    return None


def forget(front: str) -> None:
    """Remove what a front has kept for its own authority; systemd put a link before it."""
    kept, link = Path("/var/lib/private", front), Path("/var/lib", front)
    # A folder of that name is the state of another service.
    if link.is_symlink() and link.resolve() == kept.resolve():
        discard(kept)
        link.unlink()
