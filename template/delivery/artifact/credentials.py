"""Who we are to an index: from the environment, ``~/.netrc`` or keyring; never from an address."""

from __future__ import annotations

import base64
import functools
import netrc
import os
import shutil
import stat
import subprocess
from urllib.parse import urlsplit

from .. import tools
from ..errors import UsageError

NAMES = ("DELIVERY_INDEX_USER", "DELIVERY_INDEX_PASSWORD")  # of variables
USER, PASSWORD = NAMES
HINT = f"{USER} and {PASSWORD}, ~/.netrc or keyring say who asks"


@functools.cache
def find(address: str, user: str) -> tuple[str, str] | None:
    """Return a user's name and password for an index; None where nothing says any.

    Args:
        address: the index's, without credentials.
        user: whom to ask keyring for, unless the environment names another one.

    Raises:
        UsageError: the file that has them can be read by others, or cannot be parsed.
    """
    user = os.environ.get(USER) or user
    if password := os.environ.get(PASSWORD):
        return user, password
    return _netrc(urlsplit(address).hostname or "") or _keyring(address, user)


def header(found: tuple[str, str]) -> str:
    """Return the value of an ``Authorization`` header (RFC 7617)."""
    return "Basic " + base64.b64encode(":".join(found).encode()).decode()


def _netrc(host: str) -> tuple[str, str] | None:
    try:
        path = tools.home() / ".netrc"
    except UsageError:
        return None  # who has no home has no file there
    if not path.is_file():
        return None
    try:
        entry = netrc.netrc(str(path)).hosts.get(host)
    except (OSError, UnicodeDecodeError, netrc.NetrcParseError) as error:
        # The parser's own words may hold a word of the file.
        where = f" at line {error.lineno}" if isinstance(error, netrc.NetrcParseError) else ""
        raise UsageError(
            f"{path} cannot be read{where}: one machine, login, password each"
        ) from None
    if entry is None:
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise UsageError(
            f"{path} has the password for {host}, and its mode {mode:04o} lets others read it:"
            f" chmod 600 {path}"
        )
    return entry[0], entry[2]


def _keyring(address: str, user: str) -> tuple[str, str] | None:
    """Ask the command, as pip and uv do: the library may be in an environment of its own."""
    keyring = shutil.which("keyring")
    if keyring is None or not user:
        return None
    try:
        done = subprocess.run(
            [keyring, "get", address, user],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    password = done.stdout.rstrip("\n")
    return (user, password) if done.returncode == 0 and password else None
