"""GitHub Actions: a workflow for every commit, and one of buttons for what is deployed.

What every job begins and ends with stands once, in two actions of the project's own.

GitHub lets one job wait for a lock: a newer one takes its place. What comes too late all the same
is refused by the ledger's gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .github_text import (
    APPROVE,
    ATTEST,
    BEGIN,
    BUTTONS,
    CACHE,
    CHECKOUT,
    DOWNLOAD,
    END,
    HEAD,
    PUBLIC,
    PYPI,
    PYTHON,
    RELEASE,
    SCHEDULE,
    UPLOAD,
)
from .plan import CARRIED, KEPT, Job, Plan

COMMENT = "#"
KEEP = re.compile(r"uses: ([^@\s]+)@.*")  # whoever renews the pin of an action: it stays


def files(plan: Plan) -> dict[str, str]:
    """Return the text of each workflow and action, by its path from the project's top."""
    kept = _lines(f"          {path}" for path in (CARRIED, *KEPT))
    begin = BEGIN.format(python=PYTHON, version=plan.python, cache=CACHE, download=DOWNLOAD)
    made = {
        ".github/actions/begin/action.yml": begin,
        ".github/actions/end/action.yml": END.format(upload=UPLOAD, kept=kept),
        ".github/workflows/delivery.yml": _delivery(plan),
    }
    if plan.environments:
        made[".github/workflows/operate.yml"] = _buttons(plan)
    return made


def _delivery(plan: Plan) -> str:
    scheduled = "security" in (job.name for job in plan.tested)
    parts = [HEAD.format(schedule=SCHEDULE if scheduled else "")]
    parts += [_lines(_job(plan, job)) for job in plan.jobs]
    parts.append(_lines(_record(plan)))
    last = plan.jobs[-1].name
    dist = _lines(_dist())
    parts.append(RELEASE.format(needs=last, runner=_runner(plan), dist=dist, attest=ATTEST))
    if not plan.environments:
        parts.append(PUBLIC.format(needs=last, dist=dist, pypi=PYPI))
    return "".join(parts)


def _job(plan: Plan, job: Job) -> Iterator[str]:
    yield f"  {job.name}:"
    yield f"    name: {' and '.join(job.names)}"
    if job.delivers:
        yield f"    if: {_delivered(plan)}"
    elif job.name != "security":
        yield "    if: github.event_name != 'schedule'"
    if job.needs:
        yield f"    needs: [{', '.join(job.needs)}]"
    yield f"    runs-on: {_runner(plan)}"
    yield f"    timeout-minutes: {job.minutes}"
    yield "    permissions:"
    if job.approval:
        yield "      actions: read # who approved"
    yield f"      contents: {'write # the ledger is pushed' if job.delivers else 'read'}"
    if job.environment:
        yield "    environment:"
        yield f"      name: {job.environment}"
        yield "      url: ${{ steps.live.outputs.url }}"
        yield "    concurrency: # one at a time; one that has begun is not cut off"
        yield f"      group: {job.environment}"
        yield "      cancel-in-progress: false"
    if not job.delivers:
        yield "    env:"
        yield '      DELIVERY_LEDGER_PUSH: "no"'
    yield "    steps:"
    yield from _begin(
        *(["cache"] if not job.delivers else []),
        *(["dist"] if job.takes else []),
        *(["events"] if job.before else []),
    )
    if job.approval:
        yield APPROVE.replace("ENVIRONMENT", str(job.environment)).rstrip("\n")
    for stage in job.names:
        yield f"      - name: {stage}"
        if job.secrets:
            yield "        env:"
            yield from _secrets(job.secrets)
        yield f"        run: python3 -m delivery run {stage}"
    yield from _finish(job)


def _delivered(plan: Plan) -> str:
    here = f"github.ref == 'refs/heads/{plan.branch}' || github.ref_type == 'tag'"
    return (
        f">-\n      github.event_name == 'workflow_dispatch' ||\n"
        f"      github.event_name == 'push' && ({here})"
    )


def _record(plan: Plan) -> Iterator[str]:
    """Yield the job that shares what was carried, whatever came of it."""
    yield "  record: # what is red is told, too"
    yield "    name: record"
    yield "    if: >-"
    yield "      always() && github.event_name != 'pull_request' &&"
    yield f"      (github.ref == 'refs/heads/{plan.branch}' || github.ref_type == 'tag')"
    yield f"    needs: [{', '.join(job.name for job in plan.tested)}]"
    yield f"    runs-on: {_runner(plan)}"
    yield "    timeout-minutes: 5"
    yield "    permissions:"
    yield "      contents: write # the ledger is pushed"
    yield "    steps:"
    yield from _begin("events")
    yield "      - name: record"
    yield "        run: python3 -m delivery sync"
    yield from _end("board")


def _begin(*wanted: str) -> Iterator[str]:
    yield f"      - uses: {CHECKOUT}"
    yield "        with:"
    yield "          fetch-depth: 0 # the version comes from the history"
    yield "          persist-credentials: true # the ledger is a ref of this repository"
    yield "      - uses: $/.github/actions/begin"
    yield from _with(wanted)


def _end(*wanted: str) -> Iterator[str]:
    yield "      - uses: $/.github/actions/end"
    yield "        if: always()"
    yield from _with(wanted)


def _with(wanted: Iterable[str]) -> Iterator[str]:
    if wanted:
        yield "        with:"
        yield from (f'          {name}: "true"' for name in wanted)


def _dist() -> Iterator[str]:
    yield f"      - uses: {DOWNLOAD}"
    yield "        with:"
    yield "          name: dist"
    yield "          path: dist"


def _finish(job: Job) -> Iterator[str]:
    """Yield the steps that hand on what a job made, and keep what a person may want to see."""
    if job.builds:
        yield f"      - uses: {UPLOAD}"
        yield "        with:"
        yield "          name: dist"
        yield "          path: dist"
        yield "          if-no-files-found: error"
        yield "          overwrite: true"
    if job.environment:
        told = """sh -c 'echo "url=$SERVICE_URL" >>"$GITHUB_OUTPUT"'"""
        yield "      - name: live"
        yield "        id: live"
        yield "        run: >-"
        yield f"          python3 -m delivery exec {job.environment} --"
        yield f"          {told}"
    yield from _end(*(["board"] if job.delivers else []))


def _buttons(plan: Plan) -> str:
    deploying = [job for job in plan.jobs if job.environment]
    secrets = dict.fromkeys(secret for job in deploying for secret in job.secrets)
    return BUTTONS.format(
        environments=", ".join(plan.environments),
        branch=plan.branch,
        runner=_runner(plan),
        minutes=max(job.minutes for job in deploying),
        begin=_lines(_begin()),
        secrets=_lines(_secrets(secrets)),
        end=_lines(_end("board")),
    )


def _secrets(names: Iterable[str]) -> Iterator[str]:
    yield from (f"          {name}: ${{{{ secrets.{name} }}}}" for name in names)


def _runner(plan: Plan) -> str:
    return plan.runner or "ubuntu-latest"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
