"""A filter that tells the digest of a file on the controller."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from ansible.errors import AnsibleFilterError


def file_sha256(path: str) -> str:
    """Return the SHA-256 of a file's bytes."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise AnsibleFilterError(f"{path} cannot be read: {error.strerror}.") from error


class FilterModule:
    """Hands the filter to Ansible."""

    def filters(self) -> dict[str, Callable[[str], str]]:
        """Return the filters by their names."""
        return {"file_sha256": file_sha256}
