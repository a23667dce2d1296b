"""GitLab CI: pipelines for branches, merge requests and tags; buttons beside what they change.

The ledger is pushed with the protected variable LEDGER_TOKEN, which only pipelines of protected
branches and tags have. A lock's order, and who may press, are settings of the project in GitLab;
what comes too late all the same is refused by the ledger's gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .plan import CARRIED, KEPT, Job, Plan

COMMENT = "#"
HEAD = """\
# When, with which rights, and nothing else: order, gates and budgets stand in delivery.toml.
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS && $CI_COMMIT_BRANCH != "{branch}" &&
        $CI_PIPELINE_SOURCE == "push"
      when: never # its merge request has a pipeline
    - if: $CI_COMMIT_BRANCH || $CI_COMMIT_TAG
      auto_cancel:
        on_new_commit: none # every commit is tested, to its end
stages: [test, deliver, operate]
variables:
  DELIVERY_BY: "$GITLAB_USER_NAME <$GITLAB_USER_EMAIL>" # of a button: who pressed it
  DELIVERY_LEDGER_REMOTE: origin
  DELIVERY_VIA: gitlab
  GIT_DEPTH: "0" # the version comes from the history
default:
  image: python:{python}
{tags}
# For every commit, of whomever: it sees no secret, and hands on what it records.
.tested:
  stage: test
  interruptible: true
  variables:
    DELIVERY_LEDGER_PUSH: "no"
    XDG_CACHE_HOME: $CI_PROJECT_DIR/.delivery/cache # of packages, and tools
  cache:
    key:
      files: [requirements/dev.txt, requirements/prod.txt]
    paths: [.delivery/cache]
  rules:
    - if: $CI_PIPELINE_SOURCE != "schedule"

# For what is delivered, and on demand ("Run pipeline"): it pushes the ledger.
.delivered:
  stage: deliver
  interruptible: false
  variables: &push # nothing of it is written down on the agent
    GIT_CONFIG_COUNT: "1"
    GIT_CONFIG_KEY_0: remote.origin.pushurl
    GIT_CONFIG_VALUE_0: $LEDGER_URL
    LEDGER_URL: "$CI_SERVER_PROTOCOL://ledger:$LEDGER_TOKEN@\\
      $CI_SERVER_HOST:$CI_SERVER_PORT/$CI_PROJECT_PATH.git"
  rules:
    - &never
      if: $CI_PIPELINE_SOURCE == "schedule" || $CI_PIPELINE_SOURCE == "merge_request_event"
      when: never
    - if: {delivered}
"""
DELIVERED = '$CI_COMMIT_BRANCH == "{branch}" || $CI_COMMIT_TAG || $CI_PIPELINE_SOURCE == "web"'
RECORD = """
record: # what is red is told, too
  extends: .delivered
  timeout: 5 minutes
  needs:
{needs}  script:
    - python3 -m delivery sync
    - python3 -m delivery board
  rules:
    - if: $CI_COMMIT_BRANCH == "{branch}" || $CI_COMMIT_TAG
      when: always
"""
DEPLOYS = """
.deploys:
  extends: .delivered
  environment:
    url: $SERVICE_URL
  after_script:
    - >-
      python3 -m delivery exec "$CI_ENVIRONMENT_NAME" --
      sh -c 'echo "SERVICE_URL=$SERVICE_URL"' >.delivery/live.env
  artifacts:
    reports:
      dotenv: .delivery/live.env

# Back to the release before, or to $VERSION; and a version that waits, live.
.button:
  extends: .deploys
  stage: operate
  needs: []
  rules:
    - *never
    - if: $CI_COMMIT_BRANCH == "{branch}"
      when: manual
      allow_failure: true
"""
BUTTONS = """
rollback {environment}:
  extends: .button
  timeout: {minutes} minutes
  resource_group: {environment}
  environment:
    name: {environment}
  script:
    - set -- ${{VERSION:+--to "$VERSION"}} --reason "${{REASON:-by hand}}"
    - python3 -m delivery rollback {environment} "$@"

deploy {environment}:
  extends: .button
  timeout: {minutes} minutes
  resource_group: {environment}
  environment:
    name: {environment}
  script:
    - set -- ${{VERSION:+"$VERSION"}} --reason "${{REASON:-by hand}}"
    - python3 -m delivery deploy {environment} "$@"
"""
RELEASE = """
release:
  stage: deliver
  image: registry.gitlab.com/gitlab-org/release-cli:v0.24.0
  timeout: 10 minutes
  needs: [{needs}]
  variables:
    GIT_STRATEGY: none
  script:
    - ls dist
  release:
    tag_name: $CI_COMMIT_TAG
    description: $CI_COMMIT_TAG_MESSAGE
  rules:
    - if: $CI_COMMIT_TAG
"""
TEMPLATE = """
# In scheduled pipelines: what the template brings comes as a merge request, conflicts named.
template:
  extends: .delivered
  stage: test
  timeout: 10 minutes
  needs: []
  variables:
    <<: *push
    DELIVERY_LEDGER_REMOTE: ""
    GIT_CONFIG_COUNT: "3"
    GIT_CONFIG_KEY_1: push.pushOption
    GIT_CONFIG_VALUE_1: merge_request.create
    GIT_CONFIG_KEY_2: push.pushOption
    GIT_CONFIG_VALUE_2: merge_request.target={branch}
  script:
    - python3 -m delivery template --branch
  rules:
    - if: $CI_PIPELINE_SOURCE == "schedule"
"""


def files(plan: Plan) -> dict[str, str]:
    """Return the text of the pipeline, by its path from the project's top."""
    tags = f"  tags: [{plan.runner}]\n" if plan.runner else ""
    delivered = DELIVERED.format(branch=plan.branch)
    head = {"branch": plan.branch, "python": plan.python, "tags": tags, "delivered": delivered}
    parts = [HEAD.format(**head)]
    if plan.environments:
        parts.append(DEPLOYS.format(branch=plan.branch))
    parts += [_lines(_job(plan, job)) for job in plan.jobs]
    needs = _lines(f"    - job: {job.name}\n      optional: true" for job in plan.tested)
    parts.append(RECORD.format(branch=plan.branch, needs=needs))
    for job in plan.jobs:
        if job.environment:
            parts.append(BUTTONS.format(environment=job.environment, minutes=job.minutes))
    made = [job.name for job in plan.jobs if job.builds]
    parts.append(RELEASE.format(needs=", ".join([*made, plan.jobs[-1].name])))
    parts.append(TEMPLATE.format(branch=plan.branch))
    return {".gitlab-ci.yml": "".join(parts)}


def _job(plan: Plan, job: Job) -> Iterator[str]:
    yield f"\n{job.name}:"
    kind = "deploys" if job.environment else "delivered" if job.delivers else "tested"
    yield f"  extends: .{kind}"
    yield f"  timeout: {job.minutes} minutes"
    yield f"  needs: [{', '.join(_handed(plan, job))}]"
    if job.environment:
        yield f"  resource_group: {job.environment} # one at a time"
        yield "  environment:"
        yield f"    name: {job.environment}"
    yield "  script:"
    if job.approval:
        yield f"    - python3 -m delivery approve --environment {job.environment}"
    yield from (f"    - python3 -m delivery run {stage}" for stage in job.names)
    yield from _kept(job)
    if job.name == "security":
        yield "  rules:"
        yield "    - when: on_success # also in scheduled pipelines"
    if job.approval:
        yield "  rules:"
        yield "    - *never"
        yield f"    - if: {DELIVERED.format(branch=plan.branch)}"
        yield "      when: manual"
        yield "      allow_failure: false"


def _handed(plan: Plan, job: Job) -> Iterator[str]:
    """Yield the jobs that come before, and those that something is taken from."""
    builds = [other.name for other in plan.jobs if other.builds and job.takes]
    wanted = {*job.needs, *builds}
    yield from (other.name for other in plan.jobs if other.name in wanted)


def _kept(job: Job) -> Iterator[str]:
    paths = (*(("dist",) if job.builds else ()), *(() if job.delivers else (CARRIED,)), *KEPT)
    yield "  artifacts:"
    yield "    when: always"
    yield f"    paths: [{', '.join(paths)}]"
    yield "    expire_in: 4 weeks"
    yield "    reports:"
    yield "      junit:"
    yield from (f"        - .delivery/reports/{stage}/*.xml" for stage in job.names)
    if "unit" in job.names:
        yield "      coverage_report:"
        yield "        coverage_format: cobertura"
        yield "        path: .delivery/reports/coverage.xml"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
