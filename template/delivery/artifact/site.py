"""Speak HTTP with an index: in bounded time, and who we are is told to that index alone."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .. import tools
from ..errors import DeliveryError, Refused, UsageError
from . import credentials
from .wheel import Artifact, digest

SECONDS = 20.0  # an index that says nothing for so long is down
WHOLE = 300.0  # seconds that one answer may take in all
KEPT = 86400.0  # seconds that what was fetched stays, for whoever still reads it
AGENT = "delivery"


@dataclass(frozen=True)
class Answer:
    """What an index said: its status, the address it was said at, its kind, its body."""

    status: int
    url: str
    kind: str
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def said(self) -> str:
        """Why it did not do as asked, in a few words: devpi's own, or none."""
        told = self.document
        words = told.get("message") if isinstance(told, dict) else None
        return f"{self.status}{f' ({words})' if words and isinstance(words, str) else ''}"


@dataclass(frozen=True)
class Site:
    """A web address that belongs to an index.

    Attributes:
        base: the address, without a slash at the end and without credentials.
        user: who we are there, unless the environment or ``~/.netrc`` says otherwise.
        root: the project's top folder.
        login: the path that gives a token for a password, on devpi.
    """

    base: str
    user: str
    root: Path
    login: str = ""

    @classmethod
    def parse(cls, address: str, root: Path, user: str = "") -> Site:
        """Return the site at an address of ``delivery.toml``; it may hold a user, no password.

        Raises:
            UsageError: it has no host, a password, a query or a fragment.
        """
        try:
            parts = urlsplit(address)
            port = f":{parts.port}" if parts.port else ""
        except ValueError as error:
            raise UsageError(f"delivery.toml: the address of the index is none: {error}") from None
        # The address is not shown again: it may hold what nobody should read.
        if parts.password is not None:
            raise UsageError(
                "delivery.toml: the address of the index holds a password, and this file is for"
                f" everybody: take it out, change it; {credentials.HINT}"
            )
        if not parts.hostname or parts.query or parts.fragment or any(c.isspace() for c in address):
            raise UsageError(
                "delivery.toml: the address of the index has to be https://HOST/PATH, without ?"
                f" and #, not {address!r}"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        base = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
        return cls(base, parts.username or user, root)

    def ask(
        self,
        url: str,
        accept: str = "*/*",
        send: object = None,
        anonymous: bool = False,
        method: str | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """Return what is answered at an address, whatever the status.

        Args:
            url: the whole address.
            accept: the kinds of document that are wanted.
            send: a document to send as JSON, or its bytes; then the request is a POST.
            anonymous: whether not to say who we are.
            method: another one than GET, or POST where something is sent.
            seconds: how long it may say nothing; default: `SECONDS`.

        Raises:
            DeliveryError: nobody answers, or not to the end.
        """
        body = send if isinstance(send, bytes | None) else json.dumps(send).encode()
        headers = {"Accept": accept, "User-Agent": AGENT}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, body, headers, method=method)
        found = self.credentials if self._own(url) and not anonymous else None
        if found:
            # Not sent on to where a redirect leads.
            request.add_unredirected_header("Authorization", credentials.header(found))
        host, seconds = urlsplit(url).netloc.rpartition("@")[2], seconds or SECONDS
        try:
            try:
                with urllib.request.urlopen(request, timeout=seconds) as answer:
                    return _whole(answer, host)
            except urllib.error.HTTPError as error:
                with error:
                    return _whole(error, host)
        except TimeoutError:
            raise DeliveryError(f"{host} has said nothing for {seconds:g} s: is it up?") from None
        except (OSError, http.client.HTTPException) as error:
            why = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(why, TimeoutError):
                why = f"nothing for {seconds:g} s"
            raise DeliveryError(f"{host} cannot be reached: {why or type(why).__name__}") from None

    @property
    def credentials(self) -> tuple[str, str] | None:
        """Who we are there, and the proof: a password, or the token that was given for it."""
        found = credentials.find(self.base, self.user)
        return _token(self, found) if found and self.login else found

    def keep(self, file: str, body: bytes) -> Path:
        """Write what was fetched under the project's ``.delivery``; return its path."""
        folder = self.root / ".delivery" / "index"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.iterdir():
                if time.time() - old.stat().st_mtime > KEPT:
                    old.unlink(missing_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
                part.write(body)
            os.chmod(part.name, 0o644)
            return Path(part.name).replace(folder / file)
        except OSError as error:
            raise DeliveryError(f"{folder / file} cannot be written: {error}") from None

    def download(self, url: str, artifact: Artifact, index: object) -> Path:
        """Return a path of an artifact's file, fetched and its digest checked.

        Raises:
            Refused: the index serves other bytes.
            DeliveryError: it serves none.
        """
        answer = self.ask(url)
        if answer.status != 200:
            raise DeliveryError(f"{index} says {answer.said} instead of {artifact.wheel}")
        path = self.keep(artifact.wheel, answer.body)
        found = digest(path)
        if found != artifact.sha256:
            path.unlink()
            raise other_bytes(index, artifact.wheel, found, artifact.sha256)
        return path

    def upload(self, to: str, file: Path, index: object) -> None:
        """Send a file, as PyPI takes them, by the uv that is one of the project's tools.

        Args:
            to: the address that takes files.
            file: the wheel.
            index: what to call the index.

        Raises:
            DeliveryError: it did not take the file; the text says what it said.
        """
        found = self.credentials
        environment = {k: v for k, v in os.environ.items() if not k.startswith("UV_PUBLISH_")}
        # In the environment, which others cannot read, not in the list of processes.
        if found:
            environment |= dict(zip(("UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD"), found))
        environment |= {"UV_HTTP_TIMEOUT": f"{SECONDS:.0f}", "UV_HTTP_RETRIES": "1"}
        words = ["publish", "--no-config", "--quiet", "--keyring-provider=disabled"]
        words += ["--trusted-publishing=never", f"--publish-url={to}", str(file)]
        try:
            done = subprocess.run(
                [tools.uv(self.root), *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=WHOLE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeliveryError(f"{index} took more than {WHOLE:g} s over {file.name}") from None
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            # What the server said, which may go on in lines of its own; else the innermost cause.
            told = [line for line in lines if " status code " in line] or lines[-1:]
            why = (told or ["uv publish said nothing"])[0].removeprefix("cause: ")
            hint = f": {credentials.HINT}" if " 401 " in why or " 403 " in why else ""
            raise DeliveryError(f"{index} did not take {file.name}: {why}{hint}")

    def _own(self, url: str) -> bool:
        mine, other = urlsplit(self.base), urlsplit(url)
        return (mine.scheme, mine.netloc) == (other.scheme, other.netloc)


@functools.cache
def _token(site: Site, found: tuple[str, str]) -> tuple[str, str]:
    """Return a user and a token: to look at a password costs devpi a third of a second, each time.

    Where there is none to be had, the password is what the next request will be judged by.
    """
    document = {"user": found[0], "password": found[1]}
    with contextlib.suppress(DeliveryError, KeyError, TypeError):
        answer = site.ask(f"{site.base}{site.login}", "application/json", document, anonymous=True)
        return found[0], str(answer.document["result"]["password"])
    return found


def other_bytes(index: object, file: str, found: str, wanted: str) -> Refused:
    """Return the refusal of a file that is not what it should be."""
    return Refused(
        f"{index} has {file} with other bytes: its sha256 is {found[:12]}…, wanted is"
        f" {wanted[:12]}…; an artifact never changes: find out who changed it, or commit something,"
        " so that it gets a version of its own"
    )


def _whole(answer: Any, host: str) -> Answer:
    """Read an answer to its end."""
    until, parts, length = time.monotonic() + WHOLE, [], answer.headers.get("Content-Length")
    # As it comes: to wait for so many bytes would let it trickle for ever.
    while part := answer.read1(1 << 16):
        parts.append(part)
        if time.monotonic() > until:
            raise DeliveryError(f"{host} is too slow: one answer took more than {WHOLE:g} s")
    body = b"".join(parts)
    if length and length.isdigit() and len(body) != int(length):
        raise DeliveryError(f"{host} broke off after {len(body)} of {length} bytes: try again")
    return Answer(answer.status, answer.geturl(), answer.headers.get_content_type(), body)
