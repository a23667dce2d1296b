"""Let a project that is there already join the template.

    python3 …/hooks/adopt.py look > ../answers.yml
    copier copy …                     as `look` says it
    python3 …/hooks/adopt.py merge

It needs Python 3.11 and git, nothing else, and runs nothing of the project.
"""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hooks.adoption.repository import Repository

ROOT = Path(__file__).resolve().parents[1]


def look(repository: Repository) -> int:
    """Print the answers, for a file; say on standard error what to do with it."""
    from hooks.adoption import answers, merge, sources
    from hooks.adoption.repository import ANSWERS, Refused

    if (repository.root / ANSWERS).exists():
        raise Refused(
            f"{ANSWERS} is here, so the project comes from a template already: "
            "python3 -m delivery template if it is this one"
        )
    repository.refuse_dirty()
    # A file of YAML is UTF-8, whatever a terminal is.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    said = sources.read(repository)
    found = answers.answers(repository, said, said.notes)
    print(answers.data_file(found), end="")
    source = address(type(repository)(ROOT).origin()) or str(ROOT)
    without = [f"--exclude {shlex.quote(name)}" for name in merge.excluded(repository, found)]
    tell("To know:", said.notes)
    options = [
        "--quiet --overwrite --data-file ../answers.yml",
        *without,
        f"{shlex.quote(source)} .",
    ]
    tell("Look at the answers; then:", ["copier copy " + " \\\n    ".join(options)])
    return 0


def address(remote: str) -> str:
    """Write the address of a remote so that Copier takes it for git's, as its hook does."""
    from hooks.post_gen_project import ADDRESS, GIT_ADDRESS

    return f"git+{remote}" if ADDRESS.match(remote) and not GIT_ADDRESS.match(remote) else remote


def join(repository: Repository) -> int:
    """Merge what Copier gave with what was there; say what is left."""
    from hooks.adoption import merge

    merged = merge.merge(repository)
    tell("To know:", merged.notes)
    tell("In conflict, look for <<<<<<<:", merged.conflicts)
    tell("Left to you, after `git diff --staged`:", merged.steps)
    return 1 if merged.conflicts else 0


def tell(title: str, lines: list[str]) -> None:
    """Say something on standard error, if there is something to say."""
    if lines:
        print("", title, *(f"  {line}" for line in lines), sep="\n", file=sys.stderr)


def main() -> int:
    """Run the command; return its exit status."""
    if sys.version_info < (3, 11):
        sys.exit("adopt: this needs Python 3.11 or newer")
    sys.path.insert(0, str(ROOT))
    from hooks.adoption.repository import Refused, Repository

    parser = argparse.ArgumentParser(prog="adopt", description=(__doc__ or "").splitlines()[0])
    commands = {
        "look": (look, "print the answers that a project gives, and what to do with them"),
        "merge": (join, "after `copier copy`: bring together what both have"),
    }
    parser.add_argument(
        "command",
        choices=commands,
        help="; ".join(f"{name}: {about}" for name, (_, about) in commands.items()),
    )
    parser.add_argument("project", nargs="?", default=".", type=Path, help="its folder; default: .")
    told = parser.parse_args()
    try:
        return commands[told.command][0](Repository.at(told.project))
    except Refused as refused:
        print(f"adopt: {refused}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
