"""The template this project came from: whether it moved, and the update to where it is now."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import config, tools
from .errors import DeliveryError, Refused, UsageError
from .git import Git
from .view import count

ANSWERS = ".copier-answers.yml"
BRANCH = "template-update"
# Whose commits on that branch are nobody's work; the second are those of earlier versions.
AUTHOR = "template@localhost"
OWN = {AUTHOR, "41898282+github-actions[bot]@users.noreply.github.com"}
MARKER = re.compile(rb"^<{7} before updating\r?$", re.MULTILINE)


@dataclass(frozen=True)
class Template:
    """Where the project came from.

    Attributes:
        source: the template's address.
        current: the template's version that the project has.
        newest: the newest version of the template.
        moved: whether an update would bring something.
    """

    source: str
    current: str
    newest: str
    moved: bool

    def __str__(self) -> str:
        news = f"{self.newest} is out" if self.moved else "that is the newest"
        return f"this project has {self.current} of {self.source}, and {news}"


def look(git: Git) -> Template:
    """Ask the template which versions it has.

    Args:
        git: the project's repository.

    Raises:
        UsageError: the project does not say where it came from, or that is not here.
        DeliveryError: the template cannot be reached.
    """
    source = noted(git, "_src_path")
    if source.startswith("/") and not Path(source).exists():
        raise UsageError(
            f"the template is not at {source}: give {ANSWERS} an address that is good everywhere,"
            " as _src_path"
        )
    told = json.loads(_copier(git, "check-update", "--output-format", "json"))
    moved = bool(told["update_available"])
    return Template(source, told["current_version"], told["latest_version"], moved)


def noted(git: Git, key: str) -> str:
    """Return what Copier noted under a key in the project's answers.

    Raises:
        UsageError: there are no answers, or they lack it.
    """
    path = git.root / ANSWERS
    answers = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.search(rf"^{key}: *(['\"]?)(.+)\1$", answers, re.MULTILINE)
    if found is None:
        raise UsageError(f"{ANSWERS} has no {key}: without it nobody knows the template's version")
    return found[2]


def update(git: Git) -> list[str]:
    """Bring the project to the newest version of its template.

    What the project changed is merged. What it removed stays removed. What only it has stays.

    Args:
        git: the project's repository.

    Returns:
        The files that changed.

    Raises:
        Refused: the work tree is dirty.
        DeliveryError: files are in conflict, which are named; or the update failed, and the work
            tree is as it was.
    """
    git.refuse_dirty("an update must stand apart from your own changes")
    rejects, by_hand = _rejects(git), _by_hand(git)
    before = {key: noted(git, key) for key in ("_src_path", "_commit")}
    with tempfile.TemporaryDirectory(prefix="delivery-template-") as scratch:
        old = Path(scratch, "old")
        try:
            _copier(git, "update", "--defaults", "--quiet", "--conflict", "inline")
            gone = _names(git, "diff", "--name-only", "--diff-filter=D", "HEAD")
            if gone:
                answers = Path(scratch, "answers.yml")
                answers.write_bytes(git.output("show", f"HEAD:{ANSWERS}"))
                version = (f"--vcs-ref={before['_commit']}", f"--data-file={answers}")
                source = (before["_src_path"], str(old))
                _copier(git, "copy", "--defaults", "--quiet", *version, *source)
        except BaseException:
            git.text("reset", "--hard", "--quiet")
            git.text("clean", "--force", "-d", "--quiet")
            raise
        kept = [name for name in gone if _edited(git, name, old)]
    if kept:
        git.text("checkout", "--quiet", "HEAD", "--", *kept)
    found = _rendered(git, conflicts(git), by_hand)
    found |= dict.fromkeys(kept, "the template removed it, and you had changed it: yours is kept")
    found |= dict.fromkeys(_rejects(git) - rejects, "holds what did not fit")
    if found:
        lines = "".join(f"\n  {name}: {why}" for name, why in sorted(found.items()))
        raise DeliveryError(
            f"updated to {noted(git, '_commit')} with conflicts, which only you can solve:{lines}"
        )
    return _changed(git)


def take(git: Git) -> str:
    """Bring the project to the newest version; return how much changed, and what is next."""
    changed = update(git)
    renew = "python3 -m delivery lock, " if "pyproject.toml" in changed else ""
    return (
        f"{count(len(changed), 'file')}, no conflict; next: git diff, {renew}git add --all,"
        " git commit, python3 -m delivery walk"
    )


def conflicts(git: Git) -> dict[str, str]:
    """Return why each file that is in conflict after an update is, by the file's name."""
    unmerged = {entry.split("\t", 1)[1] for entry in _names(git, "ls-files", "--unmerged")}
    found = dict.fromkeys(unmerged, "both of you changed it")
    for name in _changed(git):
        if places := _marked(git, name):
            found[name] = f"look for <<<<<<< ({places} place{'s' if places > 1 else ''})"
    return found


def propose(git: Git, remote: str) -> str:
    """Update on a branch of its own and push that, conflicts and all; all here stays as it was.

    Args:
        git: the project's repository.
        remote: what gets the branch.

    Returns:
        What the update brings.

    Raises:
        Refused: the work tree is dirty, or somebody works on the branch.
        DeliveryError: the update failed, or could not be pushed; or files are in conflict, which
            are named: on the branch, and in its commit.
    """
    there = git.text("ls-remote", "--heads", remote, f"refs/heads/{BRANCH}").partition("\t")[0]
    if there:
        git.text("fetch", "--quiet", "--no-tags", remote, f"refs/heads/{BRANCH}")
        if theirs := set(git.text("log", "--format=%ae", f"HEAD..{there}").split()) - OWN:
            raise Refused(
                f"{BRANCH} has commits of theirs ({', '.join(sorted(theirs))}):"
                " merge it or delete it first"
            )
    title, conflict = "Update the template", None
    try:
        said = f"{count(len(update(git)), 'file')}, no conflict"
    except DeliveryError as error:
        if not _changed(git):
            raise
        title, said, conflict = f"{title}: conflicts to solve", str(error), error
    try:
        git.text("add", "--all")
        # Not by git commit: a CI system may say in the environment who its author is.
        who = f"template <{AUTHOR}> {int(time.time())} +0000"
        about = f"tree {git.text('write-tree')}\nparent {git.head()}\nauthor {who}\ncommitter"
        text = f"{about} {who}\n\n{title}\n\n{said}\n".encode()
        made = (
            git.output("hash-object", "-t", "commit", "-w", "--stdin", data=text).decode().strip()
        )
        lease = f"--force-with-lease=refs/heads/{BRANCH}:{there}"
        git.text("push", "--quiet", lease, remote, f"{made}:refs/heads/{BRANCH}")
    except DeliveryError as error:
        raise DeliveryError(f"{BRANCH} was not pushed: {error}") from None
    finally:
        git.text("reset", "--hard", "--quiet")
    if conflict:
        raise DeliveryError(f"{said}\npushed to {BRANCH} of {remote}")
    return f"{said}\npushed to {BRANCH} of {remote}"


def _by_hand(git: Git) -> set[str]:
    """Return the CI files that somebody changed between the marks."""
    try:
        from .ci import files  # comes with the first CI system

        return set(files.differing(config.load(git.root)))
    except (ModuleNotFoundError, UsageError):
        return set()  # nor are files without marks rendered


def _rendered(git: Git, found: dict[str, str], by_hand: set[str]) -> dict[str, str]:
    """Render CI files in conflict anew, for delivery.toml knows both sides; return the others.

    What somebody wrote between the marks, delivery.toml does not know: such files stay.
    """
    marked = [name for name in found if name not in by_hand and _marked(git, name)]
    if marked and "delivery.toml" not in found and (git.root / "delivery/ci").is_dir():
        paths = [path for name in by_hand if (path := git.root / name).is_file()]
        kept = {path: path.read_bytes() for path in paths}
        # By delivery/ as it is now, not as it was when this process began.
        command = (sys.executable, "-m", "delivery", "ci", "--write")
        subprocess.run(command, cwd=git.root, capture_output=True, check=False)
        for path, text in kept.items():
            path.write_bytes(text)
        solved = [name for name in marked if not _marked(git, name)]
        if solved:
            git.text("reset", "--quiet", "--", *solved)
        found = {name: why for name, why in found.items() if name not in solved}
    return found


def _marked(git: Git, name: str) -> int:
    """Return how many conflicts are marked in a file."""
    path = git.root / name
    return len(MARKER.findall(path.read_bytes())) if path.is_file() else 0


def _changed(git: Git) -> list[str]:
    others = _names(git, "ls-files", "--others", "--exclude-standard")
    return sorted({*_names(git, "diff", "--name-only", "HEAD"), *others})


def _rejects(git: Git) -> set[str]:
    return set(_names(git, "ls-files", "--others", "--", "*.rej"))


def _names(git: Git, command: str, *options: str) -> list[str]:
    return [name for name in git.text(command, "-z", *options).split("\0") if name]


def _edited(git: Git, name: str, pristine: Path) -> bool:
    """Return whether the project's file is another than the template once gave."""
    path = pristine / name
    return not path.is_file() or path.read_bytes() != git.output("show", f"HEAD:{name}")


def _copier(git: Git, *arguments: str) -> str:
    """Run the project's own Copier in its top folder; return what it prints."""
    done = subprocess.run(
        [*tools.copier(git.root), *arguments],
        cwd=git.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise DeliveryError(f"copier {arguments[0]} failed, and changed nothing: {said[-1]}")
    return done.stdout
