"""What behave does around the scenarios: know what was installed, and that it is what is meant."""

import json
import subprocess
from pathlib import Path

from behave.runner import Context


def before_all(context: Context) -> None:
    """Refuse to judge anything but the artifact that came from the index."""
    if "prefix" not in context.config.userdata:
        raise RuntimeError("--define prefix=… is not given: run `python3 -m delivery walk`")
    context.bin = Path(context.config.userdata["prefix"], "bin").resolve()
    wanted = json.loads((context.bin.parent / "release.json").read_text())
    ask = f"from importlib.metadata import version; print(version({wanted['name']!r}))"
    command = [context.bin / "python", "-I", "-c", ask]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    if said.stdout.strip() != wanted["version"]:
        raise RuntimeError(f"{said.stdout} is installed, but under test is {wanted['version']}")
