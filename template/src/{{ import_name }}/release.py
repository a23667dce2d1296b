"""What is running: told by the installed package and by the release it was deployed as."""

import json
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGE = __name__.partition(".")[0]
PREFIX = Path(sys.prefix)


@dataclass(frozen=True)
class Release:
    """The identity of the running code; outside of a release, no commit and no sha256."""

    name: str
    summary: str
    version: str
    commit: str | None = None
    sha256: str | None = None


def running(prefix: Path = PREFIX) -> Release:
    """Read who we are from the package's metadata and from `release.json` in `prefix`."""
    try:
        about = metadata.metadata(PACKAGE)
    except metadata.PackageNotFoundError:
        return Release(PACKAGE, "Run from its source, not installed.", "0+source")
    deployed = prefix / "release.json"
    facts = json.loads(deployed.read_text()) if deployed.exists() else {}
    commit, sha256 = facts.get("commit"), facts.get("sha256")
    return Release(about["Name"], about["Summary"], about["Version"], commit, sha256)
