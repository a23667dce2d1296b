"""Write the exact versions that projects start with: one `prod.txt` for each flavour, one `dev.txt`
for each flavour and linter, one `tools.txt` for all; Buildbot's, and the uv of hosts.

`tox run -e lock` runs it. Every combination is rendered and locked by what a project itself locks
with.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import copier

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "template"))
from delivery.artifact.lock import renew

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "template" / "requirements"
# What installs releases on a host is what projects have.
HOSTS_UV = ROOT / "template/delivery/roles/service/files/uv.txt"
BUILDBOT = ROOT / "template" / "{% if 'buildbot' in ci %}buildbot{% endif %}" / "requirements.txt"
FLAVOURS: dict[str, dict[str, str]] = {
    "flask": {"framework": "flask"},
    "fastapi": {"framework": "fastapi"},
    "django": {"framework": "django"},
    "library": {"kind": "library"},
    "cli": {"kind": "cli"},
}
LINTERS = ("flake8", "ruff")


def kept(flavour: str, linter: str) -> dict[str, str]:
    """Name the file in the template that a file of a project's `requirements/` comes from."""
    return {
        "prod.txt": f"{{% if flavour == '{flavour}' %}}prod.txt{{% endif %}}",
        "dev.txt": f"{{% if (flavour, linter) == ('{flavour}', '{linter}') %}}dev.txt{{% endif %}}",
        "tools.txt": "tools.txt",
    }


def main(upgrade: list[str]) -> None:
    """Renew every file; `upgrade` holds options for uv, like `--upgrade`."""
    compile_buildbot(upgrade)
    with tempfile.TemporaryDirectory(prefix="lock-") as scratch:
        template, target = Path(scratch, "template"), Path(scratch, "project")
        shutil.copytree(ROOT / "template", template / "template")
        shutil.copy(ROOT / "copier.yml", template)
        for flavour, answers in FLAVOURS.items():
            for linter in LINTERS:
                data = {**answers, "linter": linter}
                settings = copier.Settings()
                copier.run_copy(
                    str(template), target, data, defaults=True, quiet=True, settings=settings
                )
                names = kept(flavour, linter)
                for name, source in names.items():
                    if (PINS / source).exists():
                        shutil.copy(PINS / source, target / "requirements" / name)
                compile_pins(target, upgrade)
                for name, source in names.items():
                    shutil.copy(target / "requirements" / name, PINS / source)
                    print(source, flush=True)
                shutil.rmtree(target)
    HOSTS_UV.write_text(lines_of("uv", (PINS / "tools.txt").read_text(encoding="utf-8")))


def lines_of(name: str, lock: str) -> str:
    """Return the lines of a lock that pin one name."""
    found = re.search(rf"^{name}==.*\n(?:    --hash=.*\n)+", lock, re.MULTILINE)
    assert found, f"{name} is not locked"
    return found[0]


def compile_buildbot(upgrade: list[str]) -> None:
    """Lock the Buildbot that a project starts; its path is no argument for tox."""
    quiet = ("--quiet", "--no-header", "--no-annotate", "--no-emit-index-url")
    wanted = ("--universal", "--python-version=3.11", "--generate-hashes", "--group=buildbot")
    command = ["uv", "pip", "compile", *quiet, *wanted, f"--output-file={BUILDBOT}", *upgrade]
    subprocess.run([*command, "--constraints=requirements/dev.txt"], cwd=ROOT, check=True)


def compile_pins(project: Path, upgrade: list[str]) -> None:
    """Lock a project as it locks itself."""
    renew(project, "uv", (3, 11), upgrade)
    for pins in (project / "requirements").iterdir():
        assert not re.search("://", pins.read_text(encoding="utf-8")), f"{pins} names an index"


if __name__ == "__main__":
    main(sys.argv[1:])
