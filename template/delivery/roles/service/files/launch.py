"""Become the instance that is named, or run another script of its release as it would be run."""

import json
import os
import sys

# systemd gives the description to this process alone; under supervisor it lies among ours.
given = os.environ.get("CREDENTIALS_DIRECTORY")
path = f"{given}/instance" if given else f"instances/{sys.argv[1]}.json"
with open(path, encoding="utf-8") as stream:
    description = json.load(stream)
python, *arguments = description["command"]
# Nothing of whoever started supervisor gets in between.
leaks = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH", "LD_PRELOAD")
inherited = {name: text for name, text in os.environ.items() if name not in leaks}
# The folder that outlives releases; systemd has one, and this name for it.
environment = {"STATE_DIRECTORY": os.path.abspath("data")} | inherited | description["environment"]
os.execve(python, [python, *(sys.argv[2:] or arguments)], environment)
