"""What a commit's stages and its people ask for: build, lock, publish, install, update."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path

from . import template as origin
from . import tools, view
from .artifact import lock as locks
from .artifact import papers, provenance, sbom, wheel
from .config import Config
from .errors import DeliveryError, Refused, UsageError
from .ledger import event
from .pipeline import gate
from .project import Project
from .tables import BUILD, PUBLISH

OWN = ("pip", "setuptools", "wheel")  # what Python itself puts into a new environment


def build(project: Project) -> None:
    """Build the commit's artifact into ``dist`` and record it.

    Raises:
        Refused: the tree is dirty, the clone is shallow, this commit once gave other bytes, or
            another commit has this version.
        DeliveryError: the build failed.
    """
    before = project.artifact()
    made = wheel.build(project.git, project.config.root / "dist")
    if before and before.sha256 != made.sha256 and before.version == made.version:
        raise Refused(
            f"{made.version} was built before as {before.sha256[:12]}…, and now came out as"
            f" {made.sha256[:12]}…: the build is not reproducible (another setuptools?);"
            " commit something, so that it gets a new version"
        )
    _refuse_taken(project, made)
    told = _write_papers(project, made)
    known = project.ledger.events(event=("built",), about=made.sha256)
    if not known or any(getattr(known[-1], kind) != sha256 for kind, sha256 in told.items()):
        project.record("built", BUILD, made, **told)
    print(f"{made.wheel}\nsha256 {made.sha256}")


def _write_papers(project: Project, made: wheel.Artifact) -> dict[str, str]:
    """Write what the artifact is made of and where it comes from; return the sha256 of each."""
    dist, lock = project.config.root / "dist", wheel.lock(project.git, made).decode()
    needs = project.config.system
    bom = sbom.document(project.config.name, dist / made.wheel, made, lock, needs)
    told = {"sbom": papers.write(dist, made, "sbom", bom)}
    others = {file.name: wheel.digest(file) for file in dist.iterdir() if file.name != made.wheel}
    origin_ = provenance.statement(project.git, made, others, event.via())
    paper, how = provenance.signed(project.git, origin_)
    print(f"provenance {how}")
    return told | {"provenance": papers.write(dist, made, "provenance", paper)}


def _refuse_taken(project: Project, made: wheel.Artifact) -> None:
    """Refuse a version that another commit has: a tag that was moved, or two tags for one version.

    Only a tag can do that; every other version ends with its commit.
    """
    if made.commit[:7] in made.version.partition("+")[2]:
        return
    for built in project.ledger.events(event=("built",)):
        if built.commit != made.commit and wheel.same_version(str(built.version), made.version):
            raise Refused(
                f"{built.version} is commit {built.commit[:9]}, and now {made.commit[:9]} calls"
                f" itself {made.version}: a tag was moved, or two tags mean one version;"
                " tag this commit with a version of its own"
            )


def lock(project: Project, options: list[str], cool_off: float | None) -> None:
    """Renew the locks, and show what changed in them.

    Args:
        project: the project.
        options: more of ``uv pip compile``'s, like ``--upgrade``.
        cool_off: days that a release has to be old to be taken; None: as ``delivery.toml`` says.

    Raises:
        DeliveryError: no versions fit; the locks are as they were.
    """
    config = project.config
    days = config.cool_off if cool_off is None else cool_off
    if days < 0:
        raise UsageError("--cool-off takes how many days old a release has to be, 0 or more")
    told = locks.renew(config.root, tools.uv(config.root), config.python, options, days)
    for name, changes in told.items():
        print(f"{name}: {len(changes) or 'no'} change{'' if len(changes) == 1 else 's'}")
        print("".join(f"  {line}\n" for line in changes), end="")


def publish(project: Project) -> None:
    """Put the commit's artifact into the index and record it.

    Raises:
        Refused: the artifact is not the one that was built, or the index has another of that name.
        DeliveryError: there is no artifact, or the index cannot be written.
    """
    made = project.artifact()
    if made is None:
        raise DeliveryError(f"this commit has no artifact: python3 -m delivery run {BUILD}")
    config, documents = project.config, list(project.papers(made).values())
    new = config.index.publish(config.name, project.wheel(made), documents)
    if new:
        project.record("published", PUBLISH, made, index=config.index.name)
    print(f"{made.wheel} {'is in' if new else 'was already in'} {config.index}")


def install(project: Project, folder: Path) -> None:
    """Install the commit's artifact from the index, as others get it, into a fresh environment.

    Args:
        project: the project.
        folder: the environment; one that was there is made anew. ``release.json`` in it says what
            was installed.

    Raises:
        UsageError: the folder holds something else.
        Refused: the artifact was revoked, or the index has other bytes than were built.
        DeliveryError: there is no artifact, it cannot be installed, or what was installed is not
            what its SBOM names.
    """
    made = project.artifact()
    if made is None:
        raise DeliveryError(f"this commit has no artifact: python3 -m delivery run {BUILD}")
    _refuse_revoked(project, made)
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise UsageError(f"{folder} is no virtual environment: name a folder that is not there yet")
    file = project.config.index.fetch(project.config.name, made)
    with tempfile.NamedTemporaryFile(suffix=".txt") as lock:
        lock.write(wheel.lock(project.git, made))
        lock.flush()
        try:
            tools.fill(
                folder, ["--require-hashes", "-r", lock.name], ["--no-deps", str(file.resolve())]
            )
        except (subprocess.CalledProcessError, OSError) as error:
            raise DeliveryError(f"{made.wheel} cannot be installed: {error}") from None
    _compare(project, made, list(folder.glob("lib/python*/site-packages")), OWN)
    about = {"name": project.config.name, **vars(made)}
    (folder / "release.json").write_text(json.dumps(about, indent=2) + "\n")
    print(f"{made.version} is installed in {folder}")


def fetch(project: Project, folder: Path, name: str | None) -> wheel.Artifact:
    """Put what a release is made of into a folder, for other forms of it; return the artifact.

    Args:
        project: the project.
        folder: it gets the wheel, ``requirements.txt`` with all that is installed beside it,
            ``wheel.txt`` with its own digest, and ``release.json``; all of them or none.
        name: the artifact, see `Project.named`; default: the commit's own.

    Raises:
        UsageError: the folder holds something, or nothing has that name.
        Refused: the artifact was revoked, or the index has other bytes than were built.
        DeliveryError: there is no artifact, or it cannot be had or written.
    """
    project.ledger.sync()
    made = project.named(name) if name else project.artifact()
    if made is None:
        raise DeliveryError(f"this commit has no artifact: python3 -m delivery run {BUILD}")
    _refuse_revoked(project, made)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty: name a folder that is, or is not there yet")
    config, lock = project.config, wheel.lock(project.git, made)
    file = config.index.fetch(config.name, made)
    pin = f"{config.name}=={made.version} --hash=sha256:{made.sha256}\n"
    about = {"name": config.name, **vars(made), "system": config.system}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            part = Path(scratch, "release")
            part.mkdir()
            shutil.copyfile(file, part / made.wheel)
            (part / "requirements.txt").write_bytes(lock)
            (part / "wheel.txt").write_text(pin)
            (part / "release.json").write_text(json.dumps(about, indent=2) + "\n")
            part.replace(folder)
    except OSError as error:
        raise DeliveryError(f"{folder} cannot be written: {error}") from None
    return made


def _refuse_revoked(project: Project, made: wheel.Artifact) -> None:
    for gone in project.ledger.events(event=("revoked",), about=made.sha256):
        raise Refused(f"{made.version} was revoked by {gate.said_by(gone)}: commit a fix")


def inspect(project: Project) -> None:
    """See that the environment this runs in has what the SBOM names, whatever else it has.

    Raises:
        DeliveryError: something is missing or has another version; or there is no artifact.
    """
    made = project.artifact()
    if made is None:
        raise DeliveryError(f"this commit has no artifact: python3 -m delivery run {BUILD}")
    count = _compare(project, made, [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    print(f"{count} components are installed as the SBOM of {made.version} names them")


def _compare(
    project: Project,
    made: wheel.Artifact,
    folders: Iterable[str | Path],
    besides: Iterable[str] | None = None,
) -> int:
    """Compare what is installed with the SBOM, if the ledger names one; return its components."""
    place = project.papers(made).get("sbom")
    if place is None:
        return 0
    bom = json.loads(place.read_text(encoding="utf-8"))
    wrong = sbom.differences(bom, sbom.installed(folders), besides)
    if wrong:
        raise DeliveryError(
            f"what is installed is not what the SBOM of {made.version} names:"
            + "".join(f"\n  {line}" for line in wrong)
        )
    return len(sbom.of_python(bom))


def ci(config: Config, write: bool) -> int:
    """Compare the CI files with ``delivery.toml``, or render them anew.

    Args:
        config: the project's pipeline.
        write: whether to render them.

    Returns:
        1 when a file says something else and was not written, else 0.

    Raises:
        UsageError: no CI system was chosen, or a file has no marks.
    """
    try:
        from .ci import files  # comes with the first CI system
    except ModuleNotFoundError:
        way = "uvx copier update --defaults --data 'ci=[github]'"
        raise UsageError(f"no CI system was chosen: {way}") from None
    if write:
        said = files.write(config) or ["every CI file already says what delivery.toml says"]
        view.show("\n".join(said))
        return 0
    lines = files.differences(config)
    if lines:
        said = [*lines, "\nnot what delivery.toml says (above): python3 -m delivery ci --write"]
        view.show("\n".join(said))
    return 1 if lines else 0


def buildbot(project: Project, start: bool, admit: str | None) -> None:
    """Start or stop a Buildbot on this machine, or let somebody in.

    Args:
        project: the project.
        start: whether to start it.
        admit: who gets a password; None to start or stop it.

    Raises:
        UsageError: Buildbot was not chosen, or its settings are wrong.
        DeliveryError: it cannot be installed, or does not come up.
    """
    try:
        from .ci import buildbot as bot
    except ImportError:
        raise UsageError(
            "Buildbot was not chosen: uvx copier update --defaults --data 'ci=[buildbot]', with the"
            " CI systems that are to stay in that list, like [github, buildbot]"
        ) from None
    if admit:
        home = project.config.root / bot.HOME
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        print(f"{admit} may log in; password: {bot.admit(home, admit)}")
    else:
        (bot.start if start else bot.stop)(project)


def template(project: Project, update: bool, remote: str | None) -> None:
    """Say which version of its template the project has; update it, or push a branch that does.

    Raises:
        Refused: the work tree is dirty, or somebody works on the branch.
        DeliveryError: the template cannot be reached, or the update left conflicts.
    """
    found = origin.look(project.git)
    if found.moved and (update or remote):
        said = origin.propose(project.git, remote) if remote else origin.take(project.git)
        print(f"updated from {found.current} to {found.newest}, {said}")
    else:
        print(f"{found}{': python3 -m delivery template --update' if found.moved else ''}")
