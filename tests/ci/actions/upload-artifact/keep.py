"""Copy the files of a job's artifact to ``$ARTIFACTS``."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

paths = [Path(line) for line in os.environ["PATHS"].split("\n") if line.strip()]
top = Path(os.path.commonpath(paths)) if len(paths) > 1 else paths[0]
found = [
    file
    for path in paths
    for file in ([path] if path.is_file() else path.rglob("*"))
    if file.is_file()
]
if not found:
    sys.exit("no files were found" if os.environ["MISSING"] == "error" else 0)
folder = Path(os.environ["ARTIFACTS"], os.environ["NAME"])
shutil.rmtree(folder, ignore_errors=True)
for file in found:
    place = folder / file.relative_to(top)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, place)
