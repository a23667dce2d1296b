"""``status``: what each environment runs, and how far the checked-out commit has come."""

from __future__ import annotations

from dataclasses import replace

from ..config import Config
from ..environments.places import Place, places
from ..ledger.event import Event
from ..ledger.signature import SIGNED
from ..pipeline.progress import WIDTH
from ..project import Project
from ..view import ago, count, line, moment, paint, show, show_json, title, took, who
from .history import commit_of


def status(project: Project, as_json: bool) -> int:
    """Tell what each environment runs, and how far the checked-out commit has come.

    Returns:
        0; 1 when an environment does not answer, answers as something else than the ledger says, or
        has drifted from that.
    """
    with project.ledger.held(project.names) as ledger:
        project = replace(project, ledger=ledger)
        head = project.git.head()
        subject = commit_of(ledger, head).subject
        past = ledger.past(head)
        verdicts = _verdicts(project, past)
        found = places(project, head)
    if as_json:
        stages = [
            {
                "stage": name,
                **({k: vars(e)[k] for k in ("event", "at", "by", "seconds")} if e else {}),
            }
            for name, e in verdicts.items()
        ]
        told = {"commit": head, "subject": subject, "stages": stages}
        show_json(told | {"environments": [place.told() for place in found]})
    else:
        lines = [paint(line(title(project.config.name, head, subject)), "bold")]
        for name, event in verdicts.items():
            lines.append(_verdict(project.config, name, event))
        for gone in [event for event in past if event.event == "revoked"][-1:]:
            said = f"{gone.version} was revoked by {who(gone.by)}, {ago(gone.at)}"
            lines.append("  " + paint(line(said), "red"))
        show("\n".join([*lines, *(text for place in found for text in _place(place))]))
    return 0 if all(place.good for place in found) else 1


def _verdicts(project: Project, past: list[Event]) -> dict[str, Event | None]:
    built = [event.sha256 for event in past if event.event == "built"]
    found: dict[str, Event | None] = {}
    for stage in project.config.stages.values():
        here = [e for e in past if e.event in ("passed", "failed") and e.stage == stage.name]
        # Who deploys by hand makes it live, and has it judged by nobody.
        here = here or [e for e in past if e.event == "deployed" and e.stage == stage.name]
        if built and stage.artifact:
            here = [event for event in here if event.sha256 == built[-1]]
        found[stage.name] = here[-1] if here else None
    return found


def _verdict(config: Config, name: str, event: Event | None) -> str:
    if event is None:
        return f"  {name:<{WIDTH}} " + paint("not yet", "faint")
    if event.event == "deployed":
        return f"  {name:<{WIDTH}} deployed by hand, {ago(event.at)}"
    budget, seconds = config.stages[name].budget, event.seconds or 0
    red = event.event == "failed"
    over = "over budget  " if seconds > budget else ""
    word = paint(f"{'FAILED' if red else 'passed':<7}", "red" if red else "green")
    return f"  {name:<{WIDTH}} {word} {seconds:6.1f} s of {budget:3g} s  {over}{ago(event.at)}"


def _place(place: Place) -> list[str]:
    live = place.live
    if live is None:
        lines = ["", f"{paint(place.name, 'bold')}: nothing was deployed there yet"]
    else:
        forced = f", {paint('FORCED', 'red')} ({line(live.reason or '')})" if live.forced else ""
        behind = f", {count(place.behind, 'commit')} behind" if place.behind else ""
        since = f"deployed {ago(live.at)} ({moment(live.at)}) by {line(who(live.by))}"
        lines = [
            "",
            f"{paint(place.name, 'bold')}: {line(str(live.version))}, {since}{behind}{forced}",
        ]
        if place.verdict:
            lines.append(f"  {_verdict_of(place.verdict)}, {ago(place.verdict.at)}")
        if place.approval:
            said = line(f"{who(place.approval.by)}, {place.signature}")
            sound = place.signature.startswith(SIGNED)
            lines.append(f"  approved by {said if sound else paint(said, 'amber')}")
        if live.url:
            lines.append(f"  {line(live.url)}/ {_answer(place.answers)}")
    if place.drift:
        cure = f": python3 -m delivery restore {place.name}" if live else ""
        lines.append("  " + paint(line(f"{place.drifted}{cure}"), "red"))
    if place.next:
        waits = (
            place.next.waits
            or f"waits for you: python3 -m delivery deploy {place.name} {place.next.version}"
        )
        named = "" if waits.startswith(place.next.version) else f"{line(place.next.version)}: "
        lines.append(f"  next: {named}{line(waits)}")
    return lines


def _verdict_of(event: Event) -> str:
    red = event.event == "failed"
    spent = "" if event.seconds is None else f" {'after' if red else 'in'} {took(event.seconds)}"
    return paint(f"{event.event.upper() if red else event.event}{spent}", "red" if red else "green")


def _answer(answers: str | None) -> str:
    if answers == "yes":
        return "answers"
    wrong = (
        "does not answer"
        if answers == "no"
        else f"answers {answers}, which is not what was deployed"
    )
    return paint(line(wrong), "red")
