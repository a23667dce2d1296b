"""Files that are whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def sync(folder: Path) -> None:
    """Make the names in a folder last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text in one step: see write_bytes()."""
    write_bytes(path, text.encode(), mode)


def write_bytes(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file in one step; nobody ever reads half of it, or reads it with looser rights."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync(path.parent)


def write_json(path: Path, value: Mapping[str, Any], mode: int = 0o644) -> None:
    """Write a JSON object in one step."""
    write(path, as_json(value), mode)


def as_json(value: Mapping[str, Any]) -> str:
    """Return a JSON object as it is written."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, None when there is no such file or it is no such thing."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read(path: Path) -> str:
    """Return the text of a file, nothing when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def mode_of(path: Path) -> int | None:
    """Return who may do what with a file, None when there is none."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def holds(path: Path, text: str, mode: int = 0o644) -> bool:
    """Tell whether a file is as it was written."""
    return read(path) == text and mode_of(path) == mode


def tail(path: Path, lines: int = 20, hidden: Sequence[str] = ()) -> list[str]:
    """Return the last lines of a log, with the hidden words in it starred out."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 16384))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return without(text, hidden).splitlines()[-lines:]


def without(text: str, hidden: Sequence[str]) -> str:
    """Return a text with the hidden words in it starred out."""
    for word in sorted(hidden, key=len, reverse=True):
        text = text.replace(word, "***")
    return text


def discard(folder: Path, marker: str = "") -> None:
    """Remove a folder, first the marker that says it is complete."""
    if marker:
        (folder / marker).unlink(missing_ok=True)
    if folder.is_dir():
        shutil.rmtree(folder)
