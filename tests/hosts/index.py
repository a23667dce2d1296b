"""A package index for hosts that reach nothing else: simple pages over the files of a folder."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


def fill(folder: Path, locks: Iterable[Path]) -> None:
    """Fetch what locks name, for hosts like these, and write the pages (PEP 503)."""
    files = folder / "files"
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    for lock in locks:
        wanted = ["--no-deps", "--only-binary=:all:", "--require-hashes", f"--requirement={lock}"]
        subprocess.run([*fetch, f"--dest={files}", *wanted], check=True)
    pages: dict[str, list[str]] = {}
    for path in sorted(files.iterdir()):
        name = re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower()
        pages.setdefault(name, []).append(f'<a href="../../files/{path.name}">{path.name}</a>')
    for name, links in pages.items():
        page = folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text("<!doctype html>\n" + "\n".join(links))
