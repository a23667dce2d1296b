"""How the front speaks TLS, and the certificate that it was given for that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import Refused
from .files import discard, holds, write


@dataclass(frozen=True)
class Tls:
    """The port and the first name of the front; a certificate that is not told stays as it is."""

    port: int
    host: str
    certificate: str | None = None
    key: str | None = None

    def check(self) -> None:
        """Refuse what lacks a name, or a certificate that is to be given."""
        if not self.host:
            raise Refused("service_tls needs a name to speak for: give service_domains one.")
        if "" in (self.certificate, self.key):
            raise Refused(
                "service_tls is given, and the certificate is not: give service_certificate and"
                " service_certificate_key their PEM texts."
            )

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


def forget(front: str) -> None:
    """Remove what a front has kept for its own authority; systemd put a link before it."""
    kept, link = Path("/var/lib/private", front), Path("/var/lib", front)
    # A folder of that name is the state of another service.
    if link.is_symlink() and link.resolve() == kept.resolve():
        discard(kept)
        link.unlink()
