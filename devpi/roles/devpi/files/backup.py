"""Export the live devpi into a folder named by the time, and keep the newest ones.

Arguments: how many to keep. Files are linked, not copied, so an export takes next to no space.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

LIVE = Path("/opt/devpi/live")
FOLDER = Path("/var/lib/devpi/backups")
PART = ".part"


def main(keep: int) -> None:
    """Make one export, wholly or not, then remove those that are too old."""
    for rest in FOLDER.glob(f"*{PART}"):
        shutil.rmtree(rest)
    made = FOLDER / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    part = made.with_name(made.name + PART)
    export = [LIVE / "venv/bin/devpi-export", "--serverdir", LIVE / "server", "--hard-links", part]
    subprocess.run([str(word) for word in export], check=True, stdout=subprocess.DEVNULL)
    part.rename(made)
    print(f"exported to {made}")
    for old in sorted(FOLDER.iterdir())[:-keep]:
        shutil.rmtree(old)


if __name__ == "__main__":
    main(max(1, int(sys.argv[1])))
