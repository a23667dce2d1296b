"""Stands in for tox: every stage in no time, and a line in ``$JOURNAL`` for each.

It does what a stage would do to the ledger, ``dist/`` and the index, through the project's own code
where that needs no tool. The file ``faults`` of the project says, by lines like ``unit red`` or
``unit slow``, what else happens; ``unit waits`` lasts until there is a file ``go`` in the home,
and ``build releases`` takes the tag for the version.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

sys.path.insert(0, os.getcwd())
from delivery import commands
from delivery.artifact.wheel import describe
from delivery.pipeline import gate
from delivery.project import Project
from delivery.tables import BUILD


def build(project: Project, releases: bool) -> None:
    """Make a wheel that says nothing but its version, and record it.

    Args:
        project: the project.
        releases: whether it is the version of the tag, and what else a build leaves is beside it.
    """
    count = project.git.text("rev-list", "--count", "HEAD")
    head = project.git.head()
    version, name = f"0.0.0.post1.dev{count}+g{head[:9]}", project.config.name.replace("-", "_")
    if releases:
        version = project.git.text("describe", "--tags", "--exact-match").strip().removeprefix("v")
    file = project.config.root / "dist" / f"{name}-{version}-py3-none-any.whl"
    file.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        entry = zipfile.ZipInfo(f"{name}-{version}.dist-info/METADATA")
        archive.writestr(entry, f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if releases:
        for beside in (f"{name}-{version}.tar.gz", f"{file.name}.cdx.json"):
            (file.parent / beside).write_text(beside)
    project.record("built", BUILD, describe(file, head))


def linger(seconds: float = 30, until: Path | None = None) -> None:
    """Take half a minute, or as long as whoever started this is there; or until a file is."""
    parent, end = os.getppid(), time.monotonic() + seconds
    while os.getppid() == parent and time.monotonic() < end and not (until and until.exists()):
        time.sleep(0.1)


def tell(name: str) -> None:
    """Write down, and say in the log, which secret a stage was handed."""
    text = f"{name} has TOKEN={os.environ.get('TOKEN')}"
    (Path.home() / "told").open("a").write(f"{text}\n")
    print(text)


def main() -> int:
    """Do what the stage's environment would do; return its exit status."""
    if "exec" in sys.argv:
        asked, words = Path.home() / "asked", sys.argv[sys.argv.index("--") + 1 :]
        asked.open("a").write(" ".join(words) + "\n")
        # Where a test has put one: a Python beside an `ansible-playbook`, as the real stage has it.
        python = Path.home() / "deployer" / "bin" / "python"
        if not python.exists():
            return 0
        tell("exec")
        return subprocess.run([python, *words[1:]]).returncode
    name = sys.argv[sys.argv.index("-e") + 1]
    project = Project.find(Path.cwd())
    stage = project.config.stages[name]
    faults = Path("faults").read_text().split("\n") if Path("faults").exists() else []
    if stage.tests:
        report = Path(".delivery", "reports", name, "tests.xml")
        report.write_text('<testsuite tests="1"/>')
    if name == BUILD:
        build(project, "build releases" in faults)
    if name == "publish":
        commands.publish(project)
    made = project.artifact()
    if stage.environment:
        project.record(
            "deployed",
            name,
            made,
            environment=name,
            hosts=("localhost",),
            url="http://127.0.0.1:9",
            code=gate.code(project.git),
        )
    with open(os.environ["JOURNAL"], "a", encoding="utf-8") as journal:
        about = made.sha256[:12] if made and stage.artifact else "-"
        journal.write(f"{name} {about} {project.git.head()[:9]}\n")
    if f"{name} tells" in faults:
        tell(name)
    if f"{name} slow" in faults:
        linger()
    if f"{name} waits" in faults:
        linger(300, until=Path.home() / "go")
    for wheel in Path("dist").glob("*.whl"):
        if f"{name} alters" in faults:
            wheel.write_bytes(wheel.read_bytes() + b"!")
        if f"{name} loses" in faults:
            wheel.unlink()
    return f"{name} red" in faults


if __name__ == "__main__":
    sys.exit(main())
