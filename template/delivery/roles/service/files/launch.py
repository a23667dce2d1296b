"""Become the instance that is named: its program, with its environment, as its description says."""

import json
import os
import sys

# systemd gives the description to this process alone; under supervisor it lies among ours.
given = os.environ.get("CREDENTIALS_DIRECTORY")
path = f"{given}/instance" if given else f"instances/{sys.argv[1]}.json"
with open(path, encoding="utf-8") as stream:
    description = json.load(stream)
command = description["command"]
os.execve(command[0], command, os.environ | description["environment"])
