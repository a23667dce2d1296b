"""Hand Cookiecutter's answers to Copier, which renders the project where the stub was."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

STUB = Path("cookiecutter-to-copier.json")
# What Copier takes for a git repository by its looks; every other address needs "git+".
GIT_ADDRESS = re.compile(r"git@|git://|git\+|https://git(hub|lab)\.com/|.*\.git$")
ADDRESS = re.compile(r"([a-z]+\+)?[a-z]+://|[\w.-]+@")
ALIASES = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}
REFUSED = re.compile(
    r"^ValueError: ((?:Validation error|Invalid choice|Unknown revision).*)\Z", re.M | re.S
)


def _same(one: Path, other: Path) -> bool:
    """Whether one file is a copy of the other with its times, as Cookiecutter makes them."""
    try:
        a, b = one.stat(), other.stat()
    except OSError:
        return False
    return (a.st_mtime_ns, a.st_size) == (b.st_mtime_ns, b.st_size)


def _origin(repository: Path) -> str:
    get = ["git", f"--git-dir={repository}/.git", "config", "--get", "remote.origin.url"]
    return subprocess.run(get, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def source(context: dict[str, Any]) -> str:
    """Find what Copier has to note as the template's source: an absolute path or an address.

    Cookiecutter works in a copy, maybe of a clone, and does not tell from where it was called.
    """
    template, copy = str(context["_template"]), Path(context["_repo_dir"])
    for start in (os.environ.get("PWD", ""), context["_output_dir"]):
        path = Path(os.path.abspath(Path(start, template)))
        if _same(path / "copier.yml", copy / "copier.yml"):
            return str(path)
    url, origin = template, _origin(copy)
    alias, rest = template[:3], template[3:]
    if origin and origin == f"{ALIASES.get(alias)}{rest}.git":
        return template
    if not ADDRESS.match(template):
        cloned = Path.home() / ".cookiecutters" / template / "copier.yml"
        # A path that was not found is none of the origin's business.
        url = origin if ":" in template or _same(cloned, copy / "copier.yml") else ""
    if not url or url.lower().endswith(".zip"):
        sys.exit(
            f"Copier could not update a project from {template}: "
            "give the template's absolute path, or its address in git."
        )
    return url if GIT_ADDRESS.match(url) else f"git+{url}"


def data(context: dict[str, Any]) -> list[str]:
    """Turn the answers into Copier's options."""
    options = []
    for name, answer in context.items():
        unasked = name in context["_unasked"]
        if answer == "" and (unasked or name in context["_computed"]):
            continue
        if name == "project_slug" or (name.startswith("_") and not unasked):
            continue
        name = name.removeprefix("_")
        # Cookiecutter asks everything of every kind.
        if not unasked and context["_kinds"].get(name, context["kind"]) != context["kind"]:
            continue
        if name in context["_multiselect"]:
            answer = [part.strip() for part in answer.split(",") if part.strip()]
        text = answer if isinstance(answer, str) else json.dumps(answer)
        options += ["--data", f"{name}={text}"]
    return options


def main() -> NoReturn:
    """Replace the stub by the project; leave with Copier's exit status."""
    stub = STUB.read_text(encoding="utf-8")
    STUB.unlink()
    context, folder = json.loads(stub), Path.cwd()
    if any(folder.iterdir()):
        sys.exit(
            f"{folder} is not empty and stays as it is: "
            "`copier copy` asks before it overwrites a file."
        )
    # This script runs as a temporary file, away from its neighbours.
    sys.path.insert(0, context["_repo_dir"])
    from hooks.pre_prompt import find_copier

    ref = ["--vcs-ref", context["_checkout"]] if context["_checkout"] else []
    command = [*find_copier(), "copy", "--defaults", *ref, *data(context)]
    done = subprocess.run(
        [*command, source(context), str(folder)],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    # A refused answer is a traceback in Copier: its last line is the sentence.
    refused = REFUSED.search(done.stderr)
    print((refused[1] if refused else done.stderr).rstrip(), file=sys.stderr)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
