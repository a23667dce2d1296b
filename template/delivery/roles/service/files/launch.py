"""Become the instance that is named: its program, with its environment, as its description says."""

import json
import os
import sys

with open(f"instances/{sys.argv[1]}.json", encoding="utf-8") as stream:
    description = json.load(stream)
command = description["command"]
os.execve(command[0], command, os.environ | description["environment"])
