"""GitHub Actions: its workflows are clean, and act ran them."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ci.conftest import Begin
from tests.ci.sample import BIN, STAGES, TESTED, Sample, in_order

ACTIONS = Path(__file__).parent / "actions"
WORKFLOW = ".github/workflows/delivery.yml"
# Stands in for the hosting site: who approved, as its answer to jq's question; and releases.
GH = """#!/bin/sh
if [ "$1" = api ]; then echo "$APPROVED_BY"; else echo "$@" >>"$HOME/gh"; fi
"""


def command(sample: Sample, event: str, name: str = "delivery", **told: Any) -> list[str]:
    """Return the command that lets act run a workflow for an event, on this machine."""
    text = (sample.root / ".github" / "workflows" / f"{name}.yml").read_text()
    uses = dict(re.findall(r"uses: (actions/(\S+)@\w+)", text))
    ref = told.setdefault("ref", "refs/heads/main")
    path = sample.home / "event.json"
    path.write_text(json.dumps(told))
    gh = sample.home / "bin" / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    artifacts = sample.home / f"artifacts-{time.monotonic_ns()}"
    artifacts.mkdir()
    assert ref
    return [
        *(str(BIN / "act"), event, f"--workflows=.github/workflows/{name}.yml"),
        *("--platform=ubuntu-latest=-self-hosted", "--no-skip-checkout", "--no-cache-server"),
        *(f"--eventpath={path}", "--actor=grace", f"--env=ARTIFACTS={artifacts}"),
        *(f"--action-cache-path={sample.home / 'act'}", "--artifact-server-addr=127.0.0.1"),
        *(f"--env=SOURCE_REPOSITORY={sample.origin}",),
        *(f"--local-repository={action}={ACTIONS / place}" for action, place in uses.items()),
        *(f"--input={key}={value}" for key, value in told.get("inputs", {}).items()),
    ]


def act(sample: Sample, event: str = "push", name: str = "delivery", **told: Any) -> str:
    """Let act run a workflow; return what it says."""
    env = {key: told.pop(key) for key in [*told] if key.isupper()}
    return sample.run(command(sample, event, name, **told), sample.root, **env)


@pytest.fixture
def sample(begin: Begin) -> Sample:
    """Return a project that is delivered by GitHub."""
    return begin(ci=["github"])


def test_a_push_to_main_goes_into_production(sample: Sample) -> None:
    commit = sample.git("rev-parse", "HEAD")
    said = act(sample)
    assert in_order(sample.journal(commit)), said
    assert len(sample.digests(commit)) == 1
    assert sorted(sample.told(commit)) == sorted(f"{stage} passed" for stage in STAGES)
    assert {event.by for event in sample.events(commit)} == {"grace"}
    assert {event.via for event in sample.events(commit)} == {"github"}
