"""TOML: written from values, and cut into its tables with all that stands in them."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date, datetime, time
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")
HEADER = re.compile(r"^\s*\[\[?\s*(?P<name>[^\[\]#]+?)\s*\]\]?\s*(#.*)?$")
WIDTH = 90


def key(name: str) -> str:
    """Write a key."""
    return name if BARE.fullmatch(name) else text(name)


def text(words: str) -> str:
    """Write a string: JSON's form of it, which is TOML's but for one character."""
    clean = words.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")


def value(what: Any, wide: bool = True) -> str:
    """Write a value, tables as inline ones; a list in one line if it may be `wide`, and fits."""
    match what:
        case bool():
            return str(what).lower()
        case str():
            return text(what)
        case dict():
            pairs = ", ".join(f"{key(name)} = {value(part)}" for name, part in what.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case list() | tuple():
            short = f"[{', '.join(map(value, what))}]"
            if wide and len(short) <= WIDTH:
                return short
            return "[\n" + "".join(f"    {value(part)},\n" for part in what) + "]"
        case datetime() | date() | time():
            return what.isoformat()
        case _:
            return str(what)


def table(name: str, entries: dict[str, Any]) -> str:
    """Write a table with its header."""
    lines = (f"{key(entry)} = {value(what)}\n" for entry, what in entries.items())
    return f"[{name}]\n" + "".join(lines)


def cut(document: str, name: str) -> str:
    """Return the tables of a document whose names begin with `name`, word for word."""
    kept, inside = [], False
    for line in document.splitlines():
        if header := HEADER.match(line):
            plain = re.sub(r"\s*\.\s*", ".", header["name"]).replace('"', "").replace("'", "")
            inside = plain == name or plain.startswith(f"{name}.")
        if inside:
            kept.append(line)
    # What precedes the next header belongs to that one.
    while kept and (not kept[-1].strip() or kept[-1].startswith("#")):
        kept.pop()
    return "\n".join(kept) + "\n" if kept else ""


def same(document: str, entries: dict[str, Any]) -> bool:
    """Whether a document parses, and to exactly this."""
    try:
        found: object = tomllib.loads(document)
    except tomllib.TOMLDecodeError:
        return False
    return found == entries
