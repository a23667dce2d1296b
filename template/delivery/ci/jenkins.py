"""Jenkins: a declarative Jenkinsfile for a multibranch job; see ``jenkins/job.yml``.

Jobs run in waves: a wave begins when all of the one before are green. Milestones let no build come
before a later one into an environment, and locks let one at a time in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .jenkins_text import BUTTONS, DELIVERED, FUNCTIONS, HEAD, OPERATE, PARAMETERS, TAIL, WEEKLY
from .plan import CARRIED, KEPT, Job, Plan, waves

COMMENT = "//"
DAY = 24 * 60  # minutes
INDENT = "    "


def files(plan: Plan) -> dict[str, str]:
    """Return the text of the Jenkinsfile, by its path from the project's top."""
    asked = [job for job in plan.jobs if job.approval]
    minutes = DAY + sum(job.minutes for job in plan.jobs)  # a day for agents, and locks
    minutes += sum(round(job.stages[0].approval_days * DAY) for job in asked)
    kept = ", ".join(f"{folder}/**" for folder in KEPT)
    # A build that waits for a person must not hold up those after it: milestones order them.
    concurrent = "" if asked else f"{INDENT * 2}disableConcurrentBuilds()\n"
    environments = ", ".join(map(_quoted, plan.environments))
    buttons = BUTTONS.replace("<environments>", environments) if environments else ""
    secured = any("security" in job.names for job in plan.tested)
    told = {
        "<parameters>": PARAMETERS.replace("<buttons>", buttons),
        "<branch>": plan.branch,
        "<runner>": plan.runner,
        "<agent>": _agent(plan),
        "<carried>": CARRIED,
        "<left>": " ".join(("dist", CARRIED, *KEPT)),
        "<kept>": kept,
        "<minutes>": str(minutes),
        "<concurrent>": concurrent,
        "<security>": f"{INDENT * 4}delivery('run security', true)\n" if secured else "",
        "<tested>": ", ".join(_quoted(job.name) for job in plan.tested),
    }
    tested, delivered = waves(plan.tested), waves(plan.delivered)
    parts = [FUNCTIONS, HEAD]
    parts += [_wave(plan, wave, 4) for wave in tested]
    if delivered:
        parts.append(DELIVERED)
        parts += [_wave(plan, wave, 6) for wave in delivered]
        parts.append(f"{INDENT * 5}}}\n{INDENT * 4}}}\n")
    parts.append(f"{INDENT * 3}}}\n{INDENT * 2}}}\n")
    if environments:
        parts += [_operate(plan, action) for action in ("rollback", "deploy")]
    parts += [WEEKLY, TAIL]
    return {"Jenkinsfile": _filled("".join(parts), told)}


def _filled(text: str, told: Mapping[str, str]) -> str:
    for mark, meant in told.items():
        text = text.replace(mark, meant)
    return text


def _wave(plan: Plan, wave: Sequence[Job], level: int) -> str:
    if len(wave) > 1:
        name = _quoted(", ".join(job.name for job in wave))
        inner = "".join(line for job in wave for line in _stage(plan, job, level + 2))
        deep, deeper = INDENT * level, INDENT * (level + 1)
        return f"{deep}stage({name}) {{\n{deeper}parallel {{\n{inner}{deeper}}}\n{deep}}}\n"
    (job,) = wave
    approval = "".join(_approval(plan, job, level)) if job.approval else ""
    return approval + "".join(_stage(plan, job, level))


def _stage(plan: Plan, job: Job, level: int) -> Iterator[str]:
    lines = [
        f"stage({_quoted(job.name)}) {{",
        f"    agent {_agent(plan)}",
        *_environment(job),
        "    steps {",
    ]
    tree = f"tree([{_handed_on(plan, job)}])"
    runs = [f"delivery('run {name}'{', true' if job.delivers else ''})" for name in job.names]
    # As an option of the stage it would count the time until there is an agent, and the lock, too.
    limit = f"timeout(time: {job.minutes}, unit: 'MINUTES') {{"
    if job.environment:
        number = 1 + [other.name for other in plan.jobs].index(job.name)
        lines += [f"        {tree}", f"        milestone {number}"]
        lines += [f"        alone({_quoted(job.environment)}) {{", f"            {limit}"]
        lines += [f"                {run}" for run in runs] + ["            }", "        }"]
    else:
        lines += [
            f"        {limit}",
            *(f"            {step}" for step in (tree, *runs)),
            "        }",
        ]
    more = ", ', dist/**'" if job.builds else ""
    lines += ["    }", f"    post {{ always {{ handOn({_quoted(job.name)}{more}) }} }}", "}"]
    yield from (f"{INDENT * level}{line}\n" for line in lines)


def _handed_on(plan: Plan, job: Job) -> str:
    """Return the jobs before that have something for a job: a ledger that was pushed is there."""
    before = [other for other in plan.jobs if other.name in job.before]
    pushed = any(other.delivers for other in before)
    return ", ".join(_quoted(other.name) for other in before if other.builds or not pushed)


def _environment(job: Job) -> Iterator[str]:
    told = {name: f"credentials({_quoted(name)})" for name in job.secrets}
    if not job.delivers:
        told["DELIVERY_LEDGER_PUSH"] = _quoted("no")
    if told:
        yield "    environment {"
        yield from (f"        {name} = {value}" for name, value in told.items())
        yield "    }"


def _approval(plan: Plan, job: Job, level: int) -> Iterator[str]:
    lines = [
        f"stage('approve {job.name}') {{",
        f"    agent {_agent(plan)}",
        "    input {",
        f"        message 'May it go to {job.environment}?'",
        "        ok 'Approve'",
        "        submitter 'approvers' // a group, or people, of your Jenkins",
        "        submitterParameter 'APPROVED_BY'",
        "    }",
        "    steps {",
        f"        tree([{_handed_on(plan, job)}])",
        f"        delivery('approve --environment {job.environment}', true, env.APPROVED_BY)",
        "    }",
        "}",
    ]
    yield from (f"{INDENT * level}{line}\n" for line in lines)


def _operate(plan: Plan, action: str) -> str:
    deploying = [job for job in plan.jobs if job.environment]
    secrets = dict.fromkeys(secret for job in deploying for secret in job.secrets)
    bound = "".join(f"{INDENT * 4}{name} = credentials({_quoted(name)})\n" for name in secrets)
    if bound:
        bound = f"{INDENT * 3}environment {{\n{bound}{INDENT * 3}}}\n"
    version = {"rollback": '${VERSION:+--to "$VERSION"}', "deploy": '${VERSION:+"$VERSION"}'}
    command = f'{action} "$ENVIRONMENT" {version[action]} ${{REASON:+--reason "$REASON"}}'
    told = {
        "<action>": action,
        "<minutes>": str(max(job.minutes for job in deploying)),
        "<secrets>": bound,
        "<command>": command,
    }
    return _filled(OPERATE, told)


def _agent(plan: Plan) -> str:
    return f"{{ label {_quoted(plan.runner)} }}" if plan.runner else "any"


def _quoted(text: str) -> str:
    return f"'{text}'"
