"""What the builders in ``master.cfg`` are put together from."""

import tarfile
from pathlib import Path
from typing import Any

from buildbot.plugins import steps, util
from buildbot.steps.worker import CompositeStepMixin
from buildbot.www import rest
from buildbot.www.authz.roles import RolesFromBase
from delivery.ci import buildbot
from sqlalchemy import event
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin
from twisted.internet import reactor, threads

REVISION = "%(prop:got_revision)s"
TAR = util.Interpolate(f".delivery/{REVISION}.tar")  # git ignores it there
# A tree like that of a fresh clone, but for what git ignores: tox's environments stay.
FRESH = """
rm -rf dist .delivery/events .delivery/logs .delivery/reports
mkdir -p .delivery/events
git update-ref -d refs/delivery/ledger
if [ -e "$1" ]; then tar --no-same-owner -xf "$1"; fi
rm -f .delivery/*.tar
"""
VERSION = r"^(\w[\w.!+-]*)?$"  # a version that begins with - would be an option


class Lasting(CreateEnginePlugin):
    """Let SQLite's connections last: Buildbot would open one for each query, and close it.

    A commit is on the disk with the next checkpoint, which cannot break the file
    (https://sqlite.org/pragma.html#pragma_synchronous); the pipeline's truth is the ledger.
    """

    def __init__(self, url: Any, kwargs: Any) -> None:
        super().__init__(url, kwargs)
        kwargs.pop("poolclass", None)  # Buildbot's; SQLAlchemy's own keeps them

    def update_url(self, url: Any) -> Any:
        """Leave the address as it is."""
        return url

    def engine_created(self, engine: Any) -> None:
        """Ask each new connection not to wait for the disk."""
        event.listen(engine, "connect", lambda new, _: new.execute("pragma synchronous = normal"))


plugins.register("lasting", __name__, Lasting.__name__)


def database(url: str) -> str:
    """Return the address of a database as the master is told it."""
    file = url.startswith("sqlite:///")
    return f"{url}{'&' if '?' in url else '?'}plugin=lasting" if file else url


def answer(request: Any, encoder: Any, data: Any) -> None:
    """Encode an answer in a thread, as Buildbot does, and write it where the reactor runs.

    Buildbot since 4.2 writes it in the thread, too. Who hangs up early then breaks what the reactor
    knows of its files, and next a build: https://github.com/twisted/twisted/issues/11625
    """
    reactor.callFromThread(write, request, encoder.encode(data).encode())


def write(request: Any, text: bytes) -> None:
    """Write an answer to whoever still waits for it."""
    if not rest._is_request_finished(request):
        request.setHeader(b"content-length", str(len(text)).encode())
        if request.method != b"HEAD":
            request.write(text)


rest.V2RootResource._write_json_data = staticmethod(answer)


def told(**more: Any) -> Any:
    """Tell a command who acts, and through what: the ledger wants to know."""

    @util.renderer
    def environment(properties: Any) -> dict[str, Any]:
        authors = properties.getBuild().blamelist()
        by = buildbot.actor(properties.getProperty("owner"), authors)
        about = {"DELIVERY_BY": by, "DELIVERY_VIA": "buildbot", "DELIVERY_LEDGER_REMOTE": "origin"}
        return {"CI": "true", **about, **more}

    return environment


class Command(CompositeStepMixin, steps.ShellCommand):
    """Run a command, and show the files that it left about itself.

    Args:
        shown: where they are in the tree, as patterns.
    """

    def __init__(self, shown: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(**options)
        self.shown = shown

    async def run(self) -> Any:
        """Run it; each file is a log of the step, beside what the command said."""
        results = await super().run()
        if self.stopped:
            return results
        tree = f"{self.getProperty('builddir')}/build"
        for pattern in self.shown:
            for path in await self.runGlob(f"{tree}/{pattern}"):
                text = await self.getFileContentFromWorker(path)
                await self.addCompleteLog(Path(path).name, text or "")
        return results


def shell(name: str, *command: Any, minutes: int = 10, **options: Any) -> Any:
    """Return a step that runs a command; a cancelled one has half a minute to say so."""
    always = {"haltOnFailure": True, "logEnviron": False, "sigtermTime": 30}
    options = {"env": told(), "maxTime": 60 * minutes, **always, **options}
    return Command(name=name, command=[*command], **options)


def delivery(*arguments: Any, **options: Any) -> Any:
    """Return a step that runs ``python3 -m delivery``."""
    return shell(arguments[0], "python3", "-m", "delivery", *arguments, **options)


def stage(name: str, **options: Any) -> Any:
    """Return a step that runs a stage; its log, its JUnit files and its coverage are shown."""
    shown = (f"logs/*/{name}.*.log", f"reports/{name}/*.xml", "reports/coverage.xml")
    run = ("python3", "-m", "delivery", "run", name)
    return shell(name, *run, shown=tuple(f".delivery/{path}" for path in shown), **options)


class Take(steps.FileDownload):
    """Bring what was handed on for a commit into the tree, as long as it is kept.

    Args:
        folder: the folder of what is handed on.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        packed = util.Interpolate(f"{folder}/{REVISION}.%(prop:buildername)s.%(prop:buildnumber)s")
        super().__init__(name="take", mastersrc=packed, workerdest=TAR, **options)

    async def run(self) -> Any:
        """Pack it, let it be fetched, and remove the pack."""
        await threads.deferToThread(self.pack)
        try:
            return await super().run()
        finally:
            Path(self.mastersrc).unlink(missing_ok=True)

    def pack(self) -> None:
        """Make the file that is fetched."""
        with tarfile.open(self.mastersrc, "w") as archive:
            archive.add(f"{Path(self.mastersrc).parent}/{self.getProperty('got_revision')}", ".")


class Kept:
    """What the jobs of a commit hand on to those after them, on the master, by the commit.

    Args:
        folder: where.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, step: Any) -> Path:
        """Return the folder of a build's commit."""
        return self.folder / str(step.getProperty("got_revision"))

    def tree(self, repository: str, taken: bool = False) -> list[Any]:
        """Return the steps that make a tree like that of a fresh clone, with all of the history.

        Args:
            repository: where it is cloned from.
            taken: whether it gets what the jobs before have handed on.
        """
        about: dict[str, Any] = {"haltOnFailure": True, "logEnviron": False}
        made = [steps.Git(repository, mode="full", method="clean", tags=True, **about)]
        if taken:
            kept = {"doStepIf": lambda step: self.of(step).exists()}
            made.append(Take(self.folder, haltOnFailure=True, **kept))
        return [*made, shell("fresh", "sh", "-ec", FRESH, "sh", TAR)]

    def handed_on(self, name: str, **options: Any) -> Any:
        """Return the step that adds a folder of the tree."""
        return steps.DirectoryUpload(
            name=f"hand on {name}",
            workersrc=name,
            masterdest=util.Interpolate(f"{self.folder}/{REVISION}/{name}"),
            haltOnFailure=True,
            **options,
        )

    def red(self, step: Any) -> bool:
        """Tell whether a job of the commit was red, so that none after it may share its events."""
        mark = self.of(step) / "red"
        if step.build.results not in (util.SUCCESS, util.WARNINGS):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        return mark.exists()

    def forgotten(self) -> Any:
        """Return the step that forgets what was handed on two weeks ago."""
        old = ["find", str(self.folder), "-mindepth", "1", "-maxdepth", "1", "-mtime", "+14"]
        command = ["sh", "-c", 'mkdir -p "$2" && exec "$@" -exec rm -r {} +', "sh", *old]
        return steps.MasterShellCommand(name="forget", command=command, haltOnFailure=True)


class Ask(steps.BuildStep):
    """Hand a commit on as if it had been pushed a moment ago, to be delivered."""

    name = "ask"

    async def run(self) -> Any:
        """Add the change."""
        names = ("branch", "got_revision", "owner", "subject", "repository")
        branch, revision, owner, subject, repository = map(self.getProperty, names)
        about = {"author": owner, "comments": subject, "category": buildbot.ASKED, "src": "git"}
        await self.master.data.updates.addChange(
            branch=branch, revision=revision, repository=repository, files=[], **about
        )
        return util.SUCCESS


class Approvers(RolesFromBase):
    """Those who may press buttons; read anew whenever somebody does.

    Args:
        home: the master's folder.
    """

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.home = home

    def getRolesFromUser(self, userDetails: Any) -> list[str]:  # noqa: N802, N803  # Buildbot's
        """Return the role of somebody who has logged in."""
        return ["approver"] if userDetails.get("username") in buildbot.approvers(self.home) else []


class People(util.CustomAuth):
    """Those of the file, by the hashes of their passwords; read anew at every log-in.

    Args:
        home: the master's folder.
    """

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.home = home

    def check_credentials(self, name: bytes, password: bytes) -> bool:
        """Return whether somebody is who they say."""
        known = buildbot.people(self.home).get(name.decode(errors="replace"))
        return known is not None and buildbot.fits(password.decode(errors="replace"), known)


def why(properties: Any) -> list[str]:
    """Return the options for the reason that was given with a button."""
    reason = properties.getProperty("reason")
    return ["--reason", reason] if reason else []


def back(properties: Any) -> list[str]:
    """Return the options for where a rollback goes to, and why."""
    version = properties.getProperty("version")
    return [*(["--to", version] if version else []), *why(properties)]
