"""Which of devpi's indices an artifact is in: what passed, and what may be installed where.

The index of the first level gets what passed there. The index of each level after it gets an
artifact when its gate is open, before it is deployed: hosts install from that index alone. So a
deploy that fails leaves an artifact there that may be installed, and is not; what runs is another
question, and the ledger has the answer. Other kinds of index have no levels: nothing happens.
"""

from __future__ import annotations

import json
import socket
import sys

from ..artifact.devpi import DEV, Devpi
from ..artifact.wheel import Artifact
from ..errors import DeliveryError
from ..project import Project
from ..tables import Stage
from ..view import show
from .gate import Case


def passed(project: Project, stage: Stage) -> str | None:
    """Promote the commit's artifact to the first level's index, if ``stage`` is what it passed.

    Returns:
        What was done, for a person; None when nothing was.

    Raises:
        Refused: an index has other bytes under its name.
        DeliveryError: the index did not do it; the next walk, or deploy, does.
    """
    levels, artifact = project.config.levels, project.artifact()
    if artifact and levels and levels[0] in (stage.name, stage.environment):
        return _promote(project, stage, artifact, levels[0], forced=False)
    return None


def admit(project: Project, stage: Stage, artifact: Artifact, forced: bool) -> None:
    """Let an artifact into the index that an environment installs from; its gate is open.

    Args:
        project: the project.
        stage: the stage that deploys to the environment.
        artifact: what is to be deployed.
        forced: whether the gate was overruled.

    Raises:
        Refused: an index has other bytes under its name.
        DeliveryError: no index has it, or the server did not do it.
    """
    levels = project.config.levels
    if stage.environment in levels[1:]:
        for level in [] if forced else levels[:1]:  # what was missed when the index was away
            _promote(project, project.config.stage_of(level), artifact, level, forced)
        said = _promote(project, stage, artifact, str(stage.environment), forced)
        if said:
            show(said)


def _promote(
    project: Project, stage: Stage, artifact: Artifact, level: str, forced: bool
) -> str | None:
    """Have an artifact in a level's index, and in the ledger that it is; say so if that is new."""
    first, name = project.config.index, project.config.name
    if not isinstance(first, Devpi):
        return None
    goal = first.at(level)
    told = project.ledger.events(event=("published", "pruned"), about=artifact.sha256)
    told = [e for e in told if e.event == "pruned" or (e.stage, e.index) == (stage.name, goal.name)]
    known = bool(told) and told[-1].event == "published"
    if known and level == project.config.levels[0]:
        return None  # nothing is installed from it: the ledger's word will do
    if not goal.has(name, artifact):
        levels = (DEV, *project.config.levels)
        below = [first.at(each) for each in reversed(levels[: levels.index(level)])]
        source = next((index for index in below if index.has(name, artifact)), None)
        if source is None:
            raise DeliveryError(
                f"{artifact.version} is in none of the indices before {goal.name}:"
                " python3 -m delivery run publish"
            )
        source.push(name, artifact, goal, _results(project, artifact))
        known = False
    if known:
        return None
    project.record("published", stage.name, artifact, index=goal.name, forced=forced)
    return f"{artifact.version} is in {goal}"


def _results(project: Project, artifact: Artifact) -> bytes:
    """Return the stages' verdicts in the form that devpi keeps of tox's results."""
    environments = {}
    for stage in project.config.stages.values():
        case = Case(project.config, project.ledger, stage, artifact.commit, artifact.sha256)
        verdict = case.verdict(stage)
        if verdict:
            said = f"{verdict.event} in {verdict.seconds} s, {verdict.at}, {verdict.by}"
            environments[stage.name] = {
                "setup": [],
                "test": [
                    {
                        "command": ["python", "-m", "delivery", "run", stage.name],
                        "output": said,
                        "retcode": "0" if verdict.event == "passed" else "1",
                    }
                ],
            }
    document = {
        "reportversion": "1",
        "toxversion": "delivery",
        "platform": sys.platform,
        "host": socket.gethostname(),
        "testenvs": environments,
    }
    return json.dumps(document, sort_keys=True).encode()
