"""Walk a commit through the stages, from where it stopped; or tell what a walk would do."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from .. import tools, view
from ..artifact.wheel import Artifact, verified
from ..config import Config
from ..environments import playbooks
from ..errors import DeliveryError, Refused, UsageError
from ..ledger.event import Event
from ..project import Project
from ..tables import BUILD, Stage
from . import gate, progress, rounds


@dataclass(frozen=True)
class Options:
    """Which stages a walk takes, and how.

    Attributes:
        first: the first stage; it and all after it run again, whatever passed before.
        last: the last stage.
        only: these stages and no other, again.
        jobs: how many may run at a time; None for as many as there are cores, or one where budgets
            are strict, so that no stage pays for the one beside it.
        strict: whether a stage over its budget is red.
    """

    first: str | None = None
    last: str | None = None
    only: Sequence[str] = ()
    jobs: int | None = None
    strict: bool = False

    @property
    def again(self) -> bool:
        """Whether stages run although they passed before."""
        return bool(self.first or self.only)

    def stages(self, config: Config) -> list[Stage]:
        """Return the stages, in the table's order.

        Raises:
            UsageError: there is no such stage, none between the two, or no such number of jobs.
        """
        table = list(config.stages.values())
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs is how many stages may run at a time, not {self.jobs}")
        if self.only:
            if self.first or self.last:
                raise UsageError("--only names all stages there are to run: no --from, no --to")
            wanted = {config.stage(name).name for name in self.only}
            return [stage for stage in table if stage.name in wanted]
        first = table.index(config.stage(self.first)) if self.first else 0
        last = table.index(config.stage(self.last)) if self.last else len(table) - 1
        if first > last:
            names = f"--from {table[first].name} --to {table[last].name}"
            raise UsageError(f"{names}: {table[last].name} comes first in delivery.toml")
        return table[first : last + 1]


def walk(project: Project, options: Options) -> bool:
    """Walk the commit that is checked out through the stages, until one is red.

    What passed before for this commit is not run again, except that the last environment has to
    answer with this commit's artifact.

    Returns:
        Whether the commit is through.

    Raises:
        UsageError: the options name no such stage, or a stage has no tox environment.
        Refused: the work tree is dirty, or a gate is shut.
        DeliveryError: a stage could not be started.
        KeyboardInterrupt: it was interrupted; the ledger says so of what ran.
    """
    stages = options.stages(project.config)
    project.git.refuse_dirty()
    project.ledger.sync()
    commit = project.git.head()
    view.show(view.title(project.config.name, commit, project.git.subject(commit)))
    jobs = options.jobs or (1 if options.strict else None)

    def passed(stage: Stage) -> Event | None:
        return None if options.again else done(project, stage, commit)

    if not rounds.run(project, stages, jobs, options.strict, passed):
        return False
    if stages[-1] == list(project.config.stages.values())[-1]:
        _arrived(project)
    return True


def _arrived(project: Project) -> None:
    """Say where what went through all stages is to be had."""
    for name in reversed(project.config.environments):
        live = project.live(name)
        if live:
            view.show(f"\n{live.version} is in {name}: {live.url}/")
            return
    made = project.artifact()
    if made:
        wanted = f"{project.config.name}=={made.version}"
        view.show(f"\npip install --extra-index-url {project.config.delivered.url} {wanted}")


def foretell(project: Project, options: Options) -> bool:
    """Tell what a walk would run, and why; write nothing, not even what a remote's ledger has.

    Returns:
        Whether no gate is known to be shut.

    Raises:
        UsageError: the options name no such stage, or a stage has no tox environment.
        Refused: the work tree is dirty.
    """
    stages = options.stages(project.config)
    project.git.refuse_dirty()
    tools.check_environments(project.config.root, [stage.name for stage in stages])
    commit, artifact = project.git.head(), project.artifact()
    view.show(view.title(project.config.name, commit, project.git.subject(commit)))
    runs: list[str] = []
    for stage in stages:
        before = None if options.again else done(project, stage, commit)
        if before:
            note = f"before, {view.ago(before.at)}"
            view.show(progress.row(stage, "passed", before.seconds or 0, note))
            continue
        sha256 = artifact.sha256 if artifact else None
        waits = [name for name in stage.needs if name in runs]
        try:
            if stage.name == BUILD:
                project.git.refuse_shallow()
            if not waits:
                gate.check(project.config, project.ledger, stage, commit, sha256)
        except Refused as error:
            view.show(f"  {stage.name:<{progress.WIDTH}} refused: {error}")
            return False
        why = f"after {', '.join(waits)}, if its gate lets it" if waits else "its gate is open"
        reason = _because(_verdict(project, stage, commit), options.again)
        view.show(f"  {stage.name:<{progress.WIDTH}} runs: {reason}; {why}")
        runs.append(stage.name)
    return True


def _because(last: Event | None, again: bool) -> str:
    """Return why a stage would run, given its last verdict."""
    if last is None:
        return "it has no verdict yet"
    when = f"it {last.event} {view.ago(last.at)}"
    if last.event == "failed":
        return when
    return f"{when}, and is to run again" if again else f"{when}, but what it brought is gone"


def done(project: Project, stage: Stage, commit: str) -> Event | None:
    """Return the event that makes running a stage again needless, if there is one."""
    last = _verdict(project, stage, commit)
    if last is None or last.event != "passed":
        return None
    artifact = project.artifact()
    if stage.name == BUILD and not (artifact and _kept(project, artifact)):
        return None
    if stage.environment and stage.environment == project.config.environments[-1]:
        live = project.live(stage.environment)
        said = playbooks.answers(live.url) if live and live.url else None
        if not said or not artifact or said.get("sha256") != artifact.sha256:
            return None
    return last


def _verdict(project: Project, stage: Stage, commit: str) -> Event | None:
    artifact = project.artifact()
    about = artifact.sha256 if artifact and stage.artifact else commit
    events = project.ledger.events(event=("passed", "failed"), stage=stage.name, about=about)
    return events[-1] if events else None


def _kept(project: Project, artifact: Artifact) -> bool:
    with contextlib.suppress(DeliveryError):
        return bool(verified(project.config.root / "dist" / artifact.wheel, artifact))
    with contextlib.suppress(DeliveryError):
        return bool(project.config.index.fetch(project.config.name, artifact))
    return False
