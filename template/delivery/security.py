"""What must not leave the house: secrets in tracked files, known vulnerabilities in what ships."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import DeliveryError, UsageError
from .git import Git

LOCK = Path("requirements", "prod.txt")
SEEN = Path(".delivery", "no-secrets")  # the digests of what has none
BASELINE = ".secrets.baseline"


def fits(git: Git) -> None:
    """See that the locks still fit ``pyproject.toml``.

    Raises:
        DeliveryError: they do not; the text names each line.
    """
    from .artifact import fits as locks  # needs packaging, which only this stage's environment has

    locks.check(git.root)


def secrets(git: Git) -> None:
    """Look for secrets in the tracked files, by detect-secrets, but for what it saw here before.

    Raises:
        DeliveryError: it found some; its words, which hide them, are printed.
    """
    names = [name for name in git.text("ls-files", "-z").split("\0") if name]
    digests, kept = _digests(git.root, names), git.root / SEEN
    seen = set(kept.read_text("ascii", "replace").split()) if kept.is_file() else set()
    new = [name for name in names if digests.get(name) not in seen]
    # Nothing that looks like a secret is shown to anybody to see whether it is one.
    scan = [sys.executable, "-m", "detect_secrets.pre_commit_hook", "--no-verify"]
    if (git.root / BASELINE).exists():
        scan += ["--baseline", BASELINE]
    if new and subprocess.run([*scan, *new], cwd=git.root, check=False).returncode:
        raise DeliveryError(
            "something in the tracked files looks like a secret: take it out and replace it where"
            " it was good, or end its line with `pragma: allowlist secret`"
        )
    print(f"no secret in {len(names)} files, {len(new)} of them new or changed")
    with suppress(OSError):  # the next look would only be quicker
        kept.parent.mkdir(exist_ok=True)
        kept.write_text("\n".join(sorted(digests.values())), "ascii")


def _digests(root: Path, names: list[str]) -> dict[str, str]:
    """Return a digest of all that a look at a file depends on, by its name."""
    # slow to load, and only this stage needs it
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    try:
        about = version("detect-secrets").encode()
    except PackageNotFoundError:
        raise UsageError("detect-secrets is not here: python3 -m delivery run security") from None
    with suppress(FileNotFoundError):
        about += (root / BASELINE).read_bytes()
    for name in names:
        with suppress(OSError):  # a folder of another repository, say
            content = (root / name).read_bytes()
            told = b"\0".join([about, name.encode(errors="surrogateescape"), content])
            found[name] = hashlib.sha256(told).hexdigest()
    return found


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
            "known vulnerabilities, for which `python3 -m delivery lock --upgrade` may be the cure:"
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
