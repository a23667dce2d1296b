"""Signatures by SSH keys: a Statement in a DSSE envelope, and who may have signed it.

The key is the one git signs commits with. Who is allowed stands in ``delivery/allowed_signers``
(see ALLOWED SIGNERS in ssh-keygen(1)) on the default branch, so that no other branch can add a key.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import DeliveryError, UsageError
from ..git import Git
from .event import PAYLOAD, Event, email

NAMESPACE = "delivery@walking-skeleton"  # a signature made for something else says nothing here
FILE = "delivery/allowed_signers"
ARMOR = "-----{} SSH SIGNATURE-----"
SIGNED, UNSIGNED, BROKEN = "signed by ", "not signed", "signature does not hold"
SETUP = "git config gpg.format ssh && git config user.signingkey ~/.ssh/id_ed25519.pub"


@dataclass(frozen=True)
class Signers:
    """Who may sign.

    Attributes:
        text: the file of allowed signers; None when the project has none.
        branch: the branch it was read from.
    """

    text: bytes | None
    branch: str

    @classmethod
    def find(cls, git: Git, remote: str) -> Signers:
        """Return the allowed signers of the default branch, as the remote has it now.

        Raises:
            UsageError: nothing tells which branch is the default one.
            DeliveryError: the remote cannot be reached.
        """
        commit, branch = _default_branch(git, remote)
        # What cannot be read is an error, and no project without such a file.
        listed = git.text("ls-tree", commit, FILE)
        return cls(git.output("show", f"{commit}:{FILE}") if listed else None, branch)

    def names(self, envelope: str, by: str) -> tuple[str, ...]:
        """Return the names under which the signer of an envelope is allowed; none: it is no good.

        Args:
            envelope: a DSSE envelope.
            by: who says to have signed, as ``name <email>``; tells which of the names that a
                pattern like ``*@example.org`` allows.
        """
        with _opened(envelope) as (signed, armored):
            allowed = armored.with_name("allowed_signers")
            allowed.write_bytes(self.text or b"")
            files = ("-f", str(allowed), "-s", str(armored))
            found = _keygen("find-principals", *files).stdout.decode().replace(",", "\n").split()
            names = {email(by) if set(name) & set("*?") else name for name in found}
            good = {
                name: _keygen("verify", *files, "-n", NAMESPACE, "-I", name, data=signed)
                for name in sorted(names)
            }
            return tuple(name for name, done in good.items() if done.returncode == 0)


class Reader:
    """Says whether signatures hold, to who looks at them; what decides asks `Signers` itself.

    Args:
        git: the repository.
        remote: the remote whose default branch tells who may sign.
    """

    def __init__(self, git: Git, remote: str) -> None:
        self._git, self._remote = git, remote
        self._said: dict[str, str] = {}

    def says(self, event: Event) -> str:
        """Return ``signed by NAME``, ``not signed``, ``signature does not hold``, or what else."""
        if event.envelope is None:
            return UNSIGNED
        if event.envelope not in self._said:
            try:
                self._said[event.envelope] = self._read(event.envelope, event.by)
            except UsageError as error:
                self._said[event.envelope] = f"signature not checked: {error}"
        return self._said[event.envelope]

    def _read(self, envelope: str, by: str) -> str:
        if self._signers.text is None:
            return f"signed, and there is no {FILE}" if intact(envelope) else BROKEN
        names = self._signers.names(envelope, by)
        return SIGNED + ", ".join(names) if names else BROKEN

    @cached_property
    def _signers(self) -> Signers:
        try:
            return Signers.find(self._git, self._remote)
        except UsageError:
            raise
        except DeliveryError:  # out of reach: as this clone knows them
            return Signers.find(self._git, "")


def intact(envelope: str) -> bool:
    """Return whether an envelope holds what was signed, whoever did."""
    with _opened(envelope) as (signed, armored):
        done = _keygen("check-novalidate", "-n", NAMESPACE, "-s", str(armored), data=signed)
        return done.returncode == 0


@contextmanager
def _opened(envelope: str) -> Iterator[tuple[bytes, Path]]:
    """Yield what an envelope's signature is about, and a file with the signature."""
    document = json.loads(envelope)
    try:
        signed = _encoded(base64.b64decode(document["payload"], validate=True))
        body = "".join(str(document["signatures"][0]["sig"]).split())
    except (ValueError, LookupError, TypeError):
        signed, body = b"", ""  # which is no signature of anything
    with tempfile.TemporaryDirectory(prefix="delivery-") as scratch:
        armored = Path(scratch, "sig")
        armored.write_text(f"{ARMOR.format('BEGIN')}\n{body}\n{ARMOR.format('END')}\n")
        yield signed, armored


def sign(git: Git, statement: str, ask: bool = True) -> str | None:
    """Return ``statement`` in an envelope signed with the key git signs commits with.

    Args:
        git: the repository, whose settings name the key.
        statement: an in-toto Statement.
        ask: whether a person may be asked for the key's passphrase.

    Returns:
        The envelope; None when git is not set up to sign with an SSH key.

    Raises:
        DeliveryError: the key is not there, or was not unlocked.
    """
    key = git.setting("user.signingkey")
    if git.setting("gpg.format") != "ssh" or not key:
        return None
    with tempfile.TemporaryDirectory(prefix="delivery-") as scratch:
        literal = key.removeprefix("key::")
        if literal != key or key.startswith("ssh-"):
            public = Path(scratch, "key.pub")  # the agent has its other half
            public.write_text(literal + "\n")
        else:
            public = Path(key).expanduser()
        to_sign = _encoded(statement.encode())
        done = _keygen("sign", "-f", str(public), "-n", NAMESPACE, data=to_sign, ask=ask)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise DeliveryError(f"{key} does not sign ({said[-1]}): look at git config user.signingkey")
    body = "".join(done.stdout.decode().split("\n")[1:-2])
    payload = base64.b64encode(statement.encode()).decode()
    return json.dumps(
        {"payloadType": PAYLOAD, "payload": payload, "signatures": [{"sig": body}]}, indent=1
    )


def _encoded(payload: bytes) -> bytes:
    """Return what DSSE signs: the pre-authentication encoding of a payload."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD), PAYLOAD.encode(), len(payload), payload)


def _keygen(
    what: str, *args: str, data: bytes = b"", ask: bool = True
) -> subprocess.CompletedProcess[bytes]:
    if shutil.which("ssh-keygen") is None:
        raise UsageError("ssh-keygen is not installed: apt-get install openssh-client")
    return subprocess.run(
        ["ssh-keygen", "-Y", what, *args],
        input=data,
        capture_output=True,
        check=False,
        env=None if ask else {**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
        start_new_session=not ask,  # without a terminal there is nobody to ask
    )


def _default_branch(git: Git, remote: str) -> tuple[str, str]:
    """Return the newest commit of the default branch, and its name."""
    if remote:
        for line in git.text("ls-remote", "--symref", remote, "HEAD").splitlines():
            if line.startswith("ref: "):
                ref = line.split()[1]
                depth = ["--depth=1"] if git.shallow() else []
                tip = git.text("ls-remote", remote, ref).split()[0]
                if not git.ok("cat-file", "-e", f"{tip}^{{tree}}"):
                    options = ["--quiet", "--no-tags", "--no-write-fetch-head", *depth]
                    git.output("fetch", *options, remote, ref)
                return tip, ref.removeprefix("refs/heads/")
    local = [f"refs/heads/{git.setting('init.defaultBranch')}", "refs/heads/main"]
    for ref in ("refs/remotes/origin/HEAD", *local, "refs/heads/master"):
        if git.ok("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"):
            return git.text("rev-parse", ref), ref.split("/", 2)[2]
    raise UsageError(
        f"{FILE} is read from the default branch, and nothing tells which that is:"
        " git config init.defaultBranch NAME"
    )
