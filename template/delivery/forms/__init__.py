"""Other forms of the artifact, each made of the wheel that was built, never of its source."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import commands
from ..artifact.wheel import Artifact
from ..errors import DeliveryError
from ..project import Project

Make = Callable[[Project, Artifact, Path, list[str]], None]


def main(make: Make) -> int:
    """Make a form of the artifact that the command line names; return the exit status.

    The first word is a version or the beginning of a hash, see `Project.named`; without one it is
    the commit's own artifact. From the first word with a dash on, all goes to the tool beneath.

    Args:
        make: what makes it, given the project, the artifact, the folder that ``fetch`` filled, and
            the words for the tool beneath.
    """
    # Whoever runs it reads what somebody else made.
    os.umask(0o022)
    options = sys.argv[1:]
    name = options.pop(0) if options and not options[0].startswith("-") else None
    try:
        project = Project.find(Path.cwd())
        with tempfile.TemporaryDirectory(prefix="delivery-") as scratch:
            folder = Path(scratch, "release")
            make(project, commands.fetch(project, folder, name), folder, options)
    except DeliveryError as error:
        print(f"delivery: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("delivery: interrupted", file=sys.stderr)
        return 130
    return 0


def run(command: Sequence[str | Path], **environment: str) -> str:
    """Run a step; return what it printed. What it complains about is seen.

    Raises:
        DeliveryError: it failed, or there is no such program.
    """
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    except OSError as error:
        raise DeliveryError(f"{command[0]} cannot be run: {error}") from None
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise DeliveryError(f"{command[0]} ended with status {done.returncode}: look above")
    return done.stdout.strip()
