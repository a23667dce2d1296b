"""GitHub Actions: a workflow for every commit, and one of buttons for what is deployed.

GitHub lets one job wait for a lock: a newer one takes its place. What comes too late all the same
is refused by the ledger's gate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .github_text import (
    APPROVE,
    ATTEST,
    BOARD,
    BUTTONS,
    CACHE,
    CHECKOUT,
    DOWNLOAD,
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
    """Return the text of each workflow, by its path from the project's top."""
    folder = ".github/workflows"
    made = {f"{folder}/delivery.yml": _delivery(plan)}
    if plan.environments:
        made[f"{folder}/operate.yml"] = _buttons(plan)
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
    yield from _begin(plan, cached=not job.delivers)
    if job.takes:
        yield from _dist()
    if job.before:
        yield from _events()
    if job.approval:
        yield APPROVE.replace("ENVIRONMENT", str(job.environment)).rstrip("\n")
    for stage in job.names:
        yield f"      - name: {stage}"
        if job.secrets:
            yield "        env:"
            yield from _secrets(job.secrets)
        yield f"        run: python3 -m delivery run {stage}"
    yield from _end(job)


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
    yield from _begin(plan)
    yield from _events()
    yield "      - name: record"
    yield "        run: python3 -m delivery sync"
    yield BOARD.rstrip("\n")


def _begin(plan: Plan, cached: bool = False) -> Iterator[str]:
    yield f"      - uses: {CHECKOUT}"
    yield "        with:"
    yield "          fetch-depth: 0 # the version comes from the history"
    yield "          persist-credentials: true # the ledger is a ref of this repository"
    yield f"      - uses: {PYTHON}"
    yield "        with:"
    yield f'          python-version: "{plan.python}"'
    if cached:
        yield f"      - uses: {CACHE}"
        yield "        with:"
        yield "          path: |"
        yield "            ~/.cache/pip"
        yield "            ~/.cache/uv"
        lock = "${{ hashFiles('requirements/*') }}"
        yield f"          key: ${{{{ runner.os }}}}-{plan.python}-{lock}"


def _dist() -> Iterator[str]:
    yield f"      - uses: {DOWNLOAD}"
    yield "        with:"
    yield "          name: dist"
    yield "          path: dist"


def _events() -> Iterator[str]:
    yield f"      - uses: {DOWNLOAD}"
    yield "        with:"
    yield "          pattern: job-*"
    yield "          path: .delivery"
    yield "          merge-multiple: true"


def _end(job: Job) -> Iterator[str]:
    """Yield the steps that hand on what a job made, and keep what a person may want to see."""
    if job.builds:
        yield from _upload("dist", ["dist"], "error", "success()")
    if job.environment:
        told = """sh -c 'echo "url=$SERVICE_URL" >>"$GITHUB_OUTPUT"'"""
        yield "      - name: live"
        yield "        id: live"
        yield "        run: >-"
        yield f"          python3 -m delivery exec {job.environment} --"
        yield f"          {told}"
    if job.delivers:
        yield BOARD.rstrip("\n")
    yield from _upload(f"job-{job.name}", [CARRIED, *KEPT], "ignore")


def _upload(name: str, paths: Iterable[str], missing: str, when: str = "always()") -> Iterator[str]:
    yield f"      - uses: {UPLOAD}"
    yield f"        if: {when}"
    yield "        with:"
    yield f"          name: {name}"
    yield "          path: |"
    yield from (f"            {path}" for path in paths)
    yield f"          if-no-files-found: {missing}"
    yield "          include-hidden-files: true"
    yield "          overwrite: true"


def _buttons(plan: Plan) -> str:
    deploying = [job for job in plan.jobs if job.environment]
    secrets = dict.fromkeys(secret for job in deploying for secret in job.secrets)
    return BUTTONS.format(
        environments=", ".join(plan.environments),
        branch=plan.branch,
        runner=_runner(plan),
        minutes=max(job.minutes for job in deploying),
        steps=_lines(_begin(plan)),
        secrets=_lines(_secrets(secrets)),
        board=BOARD,
    )


def _secrets(names: Iterable[str]) -> Iterator[str]:
    yield from (f"          {name}: ${{{{ secrets.{name} }}}}" for name in names)


def _runner(plan: Plan) -> str:
    return plan.runner or "ubuntu-latest"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
