"""What a host has of devpi: where it is, how to ask it, how to run its programs."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path("/opt/devpi")
STATE = Path("/var/lib/devpi")
SOCKET = "/run/devpi/socket"
USER = "devpi"
LIVE = ROOT / "live"
SECONDS = 60.0  # one answer


class Failed(Exception):
    """What went wrong, and what to do, in a sentence."""


class Connection(http.client.HTTPConnection):
    """A connection to the server's own socket, which is not on any network."""

    def connect(self) -> None:
        """Connect to it."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(SOCKET)


def ask(
    method: str, path: str, document: object = None, who: tuple[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Ask the server by its JSON API.

    Args:
        method: of HTTP.
        path: where.
        document: what to send as JSON.
        who: a user, and the password or the token that a login gave.

    Returns:
        The status and what it said.

    Raises:
        OSError: nobody answers.
    """
    headers = {"Accept": "application/json", "Content-Type": "application/json", "Host": "devpi"}
    if who:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(who).encode()).decode()
    connection = Connection("devpi")
    try:
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        return answer.status, told if isinstance(told, dict) else {}
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"devpi does not answer as a devpi does: {error}") from None
    finally:
        connection.close()


def run(words: Sequence[object], text: str = "", root: bool = False) -> str:
    """Run a program as the server's user, who owns what it writes; return what it printed.

    Args:
        words: the program and its arguments.
        text: what to write to it.
        root: whether to run it as root after all.

    Raises:
        Failed: it failed; the text has its last words.
    """
    command = [str(word) for word in words]
    names: dict[str, Any] = {} if root else {"user": USER, "group": USER, "extra_groups": []}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        umask=0o022 if root else 0o077,
        check=False,
        # Not to find a terminal to ask for a password on.
        start_new_session=True,
        **names,
    )
    if done.returncode:
        last = [line.strip() for line in done.stdout.splitlines() if line.strip()][-3:]
        raise Failed(f"{Path(command[0]).name} failed: {' / '.join(last) or 'it said nothing'}")
    return done.stdout
