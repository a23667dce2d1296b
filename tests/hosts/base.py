"""The disk that test hosts start from: Debian with systemd and sshd, made once and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

SUITE = "bookworm"
PACKAGES = (
    "ca-certificates",
    "dbus",
    "git",
    "iproute2",
    "openssh-server",
    "python3",
    "python3-apt",
    "python3-venv",
    "sudo",
    "systemd",
    "systemd-sysv",
)
LEFT_OUT = ("man", "doc", "locale", "info")


def base(cache: Path) -> Path:
    """Return the root folder of a fresh host, made anew when the list of packages changed.

    Args:
        cache: Folder that keeps it, and the archive it is unpacked from.

    Raises:
        subprocess.CalledProcessError: mmdebstrap or tar failed; they said why.
    """
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    root, archive = cache / f"base-{key}", cache / f"base-{key}.tar.zst"
    if (root / "complete").exists():
        return root / "disk"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    if not archive.exists():
        part = archive.with_suffix(f".{os.getpid()}.zst")
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
            + [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
            + [SUITE, part],
            check=True,
        )
        part.replace(archive)
    disk = root / "disk"
    disk.mkdir()
    unpack = ["tar", "--use-compress-program=zstd", "--extract", "--preserve-permissions"]
    subprocess.run(
        [*unpack, f"--file={archive}", f"--directory={disk}", "--exclude=./dev/*"], check=True
    )
    # Empty, and not the word "uninitialized": that would be a first boot of two minutes.
    (disk / "etc/machine-id").write_text("")
    (root / "complete").touch()
    return disk
