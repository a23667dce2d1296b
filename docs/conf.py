"""Sphinx's settings for the template's own documentation."""

import re
from pathlib import Path
from typing import Any

import yaml

project = "walking-skeleton"
author = "The walking-skeleton authors"
html_theme = "furo"
html_title = "walking-skeleton"
exclude_patterns = ["_build"]
nitpicky = True

TEMPLATE = Path(__file__).parents[1] / "template"
ROLES = {
    "service": TEMPLATE / "delivery/roles/service",
    "buildbot": TEMPLATE / "{% if 'buildbot' in ci %}buildbot{% endif %}/roles/buildbot",
}


def told(text: str) -> str:
    """Return reStructuredText for a text with Ansible's markup."""
    return re.sub(r"\b[COV]\(([^)]*)\)", r"``\1``", text).replace("<service_name>", "*name*")


def variable(name: str, facts: dict[str, Any], defaults: dict[str, Any]) -> str:
    """Return the entry of one variable."""
    kind = facts["type"] + (" of " + facts["elements"] if "elements" in facts else "")
    notes = [kind, *(["required"] if facts.get("required") else [])]
    if "choices" in facts:
        notes.append("one of " + ", ".join(f"``{choice}``" for choice in facts["choices"]))
    dumped = yaml.safe_dump(defaults.get(name), width=200, default_flow_style=True)
    default = dumped.removesuffix("\n...\n").strip()
    # One that has to be worked out is told in words.
    if name in defaults and len(default) < 40:
        notes.append(f"default ``{default}``")
    said = facts["description"]
    paragraphs = [told(text) for text in ([said] if isinstance(said, str) else said)]
    body = "\n\n".join(f"   {text}" for text in [*paragraphs, "(" + "; ".join(notes) + ")"])
    return f"``{name}``\n{body}\n"


def role_variables(_app: Any, name: str, source: list[str]) -> None:
    """Put the variables of a role, as its argument_specs describe them, where the page asks."""
    for role, folder in ROLES.items() if name == "variables" else ():
        files = [folder / "meta/argument_specs.yml", folder / "defaults/main.yml"]
        specs, defaults = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in files)
        options = specs["argument_specs"]["main"]["options"]
        entries = [variable(option, options[option], defaults) for option in sorted(options)]
        marker = f".. variables of {role}\n"
        if marker not in source[0]:
            raise ValueError(f"{name}.rst has no line {marker.strip()!r}")
        source[0] = source[0].replace(marker, "\n".join(entries))


def setup(app: Any) -> None:
    """Let Sphinx call it when it reads a page, and read that page each time."""
    app.connect("env-get-outdated", lambda *_: ["variables"])
    app.connect("source-read", role_variables)
