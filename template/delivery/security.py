"""What must not leave the house: secrets in tracked files, known vulnerabilities in what ships."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from .errors import DeliveryError
from .git import Git

LOCK = Path("requirements", "prod.txt")


def fits(git: Git) -> None:
    """See that the locks still fit ``pyproject.toml``.

    Raises:
        DeliveryError: they do not; the text names each line.
    """
    from .artifact import fits as locks  # needs packaging, which only this stage's environment has

    locks.check(git.root)


def secrets(git: Git) -> None:
    """Look for secrets in the tracked files, by detect-secrets.

    Raises:
        DeliveryError: it found some; its words, which hide them, are printed.
    """
    names = [name for name in git.text("ls-files", "-z").split("\0") if name]
    # Nothing that looks like a secret is shown to anybody to see whether it is one.
    scan = [sys.executable, "-m", "detect_secrets.pre_commit_hook", "--no-verify"]
    if (git.root / ".secrets.baseline").exists():
        scan += ["--baseline", ".secrets.baseline"]
    if subprocess.run([*scan, *names], cwd=git.root, check=False).returncode:
        raise DeliveryError(
            "something in the tracked files looks like a secret: take it out and replace it where"
            " it was good, or end its line with `pragma: allowlist secret`"
        )


def audit(git: Git, required: bool) -> None:
    """Ask an advisory database for known vulnerabilities of the locked requirements, by pip-audit.

    Which database: ``PIP_AUDIT_VULNERABILITY_SERVICE`` and ``PIP_AUDIT_OSV_URL``.

    Args:
        git: the project's repository.
        required: whether a requirement that nobody could be asked about is an error, too.

    Raises:
        DeliveryError: a requirement is known to be vulnerable.
    """
    if not re.search(r"^[^#\s]", (git.root / LOCK).read_text(encoding="utf-8"), re.MULTILINE):
        print(f"{LOCK} is empty: nothing ships that others wrote")
        return
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--progress-spinner=off"]
    done = subprocess.run(
        [*command, "--format=json", f"--requirement={LOCK}"],
        cwd=git.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return _unasked(f"{LOCK} was not audited, for pip-audit failed: {said}", required)
    bad = [
        f"{entry['name']} {entry['version']}: {flaw['id']}"
        + (f", mended in {', '.join(flaw['fix_versions'])}" if flaw["fix_versions"] else "")
        for entry in found
        for flaw in entry.get("vulns", ())
    ]
    if bad:
        raise DeliveryError(
            "known vulnerabilities, for which `python -m delivery lock --upgrade` may be the cure:"
            + "".join(f"\n  {line}" for line in bad)
        )
    skipped = sorted(entry["name"] for entry in found if "skip_reason" in entry)
    print(f"{len(found) - len(skipped)} of {len(found)} requirements have no known vulnerability")
    if skipped:
        _unasked(
            f"not audited, for the database does not know them: {', '.join(skipped)}", required
        )


def _unasked(sentence: str, required: bool) -> None:
    """Say that nobody could be asked; never let it pass for a good answer."""
    if required:
        raise DeliveryError(sentence)
    print(f"NOTE: {sentence}")
