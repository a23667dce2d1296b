"""The papers of an artifact: what it is made of and where it comes from, each named by its sha256.

They lie beside the wheel, in ``dist`` and in the index; the ledger names them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..ledger.event import Event
from .wheel import Artifact

KINDS = {"sbom": "cdx.json", "provenance": "intoto.json"}


def name(artifact: Artifact, kind: str, sha256: str) -> str:
    """Return the file name of a paper; another paper of the same kind has another one."""
    return f"{artifact.wheel}.{sha256[:12]}.{KINDS[kind]}"


def write(folder: Path, artifact: Artifact, kind: str, document: Mapping[str, Any]) -> str:
    """Write a paper of an artifact into a folder; return its sha256."""
    body = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
    sha256 = hashlib.sha256(body).hexdigest()
    (folder / name(artifact, kind, sha256)).write_bytes(body)
    return sha256


def named(artifact: Artifact, built: Event) -> list[tuple[str, str, str]]:
    """Return kind, file name and sha256 of each paper that the ledger names."""
    told = [(kind, getattr(built, kind)) for kind in KINDS]
    return [(kind, name(artifact, kind, sha256), sha256) for kind, sha256 in told if sha256]
