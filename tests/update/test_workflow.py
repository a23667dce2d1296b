"""The weekly workflow, run by act: a branch with the update, and a pull request that says how."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cookiecutter.conftest import git
from tests.update.conftest import NEWEST, Begin, edit, release, save

ACTIONS = Path(__file__).parents[1] / "ci" / "actions"
BIN = Path(sys.executable).parent
BRANCH = "refs/heads/template-update"
# Stands in for the hosting site: keeps what it is told, and knows whether a request is open.
GH = """#!/bin/sh
set -eu
if [ "$2" = create ] && [ -e "$GH_LOG.open" ]; then echo "it exists already" >&2; exit 1; fi
touch "$GH_LOG.open"
for last; do :; done
{ printf '%s\\n' "$@"; echo; cat "$last"; } >"$GH_LOG"
"""


@dataclass(frozen=True)
class Site:
    """A hosted project: its repository, a clone of it, and what was asked of the site.

    Attributes:
        project: the clone that somebody works in.
        origin: the bare repository.
        log: the last call of `gh`, and the text it sent.
    """

    project: Path
    origin: Path
    log: Path

    def run(self) -> str:
        """Let act run the workflow for the main branch; return what it says."""
        workflow = (self.project / ".github" / "workflows" / "template.yml").read_text()
        uses = re.findall(r"uses: (actions/(\S+)@\w+)", workflow)
        places = [f"--local-repository={ref}={ACTIONS / name}" for ref, name in uses]
        home = self.log.parent
        command = [
            *(str(BIN / "act"), "workflow_dispatch", "--workflows=.github/workflows/template.yml"),
            *("--platform=ubuntu-latest=-self-hosted", "--no-skip-checkout", "--no-cache-server"),
            *(f"--action-cache-path={home / 'act-cache'}", "--artifact-server-addr=127.0.0.1"),
            *(f"--env=SOURCE_REPOSITORY={self.origin}", f"--env=GH_LOG={self.log}", *places),
        ]
        path = os.pathsep.join([str(home / "bin"), str(BIN), os.environ["PATH"]])
        env = {**os.environ, "HOME": str(home), "PATH": path}
        done = subprocess.run(
            command, cwd=self.project, env=env, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr


@pytest.fixture
def site(begin: Begin, future: Path, tmp_path: Path) -> Site:
    """A project of the newest release, pushed to a bare repository."""
    project, origin, home = begin(NEWEST, future), tmp_path / "origin.git", tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "gh").write_text(GH)
    (home / "bin" / "gh").chmod(0o755)
    git(project, "clone", "--quiet", "--bare", str(project), str(origin))
    git(project, "remote", "add", "origin", str(origin))
    return Site(project, origin, home / "gh.log")


def branch(site: Site, name: str) -> str:
    """Read a file of the update's branch."""
    return git(site.origin, "show", f"{BRANCH}:{name}")


def test_nothing_new_asks_for_nothing(site: Site) -> None:
    said = site.run()
    assert "and that is the newest" in said
    assert "Job succeeded" in said
    assert not site.log.exists()
    assert git(site.origin, "for-each-ref", BRANCH) == ""


def test_an_update_becomes_a_pull_request_and_then_renews_it(site: Site, future: Path) -> None:
    edit(future / "template", ".gitignore.jinja", "build/\n", "build/\ncache/\n")
    release(future, "v99.1.0")
    said = site.run()
    assert "Job succeeded" in said, said
    asked = site.log.read_text()
    assert "pr\ncreate\n--base\nmain\n--head\ntemplate-update\n" in asked
    assert "--title\nUpdate the template\n" in asked
    assert "updated from 99.0.0 to 99.1.0, 2 files, no conflict" in asked
    assert "cache/" in branch(site, ".gitignore")
    first = git(site.origin, "rev-parse", f"{BRANCH}^")
    assert first == git(site.project, "rev-parse", "HEAD")

    edit(future / "template", "tox.toml.jinja", '"DELIVERY_*", ', '"DELIVERY_*", "FORCE_COLOR", ')
    release(future, "v99.2.0")
    edit(site.project, "tox.toml", '"DELIVERY_*", ', '"DELIVERY_*", "PARCEL_*", ')
    save(site.project)
    git(site.project, "push", "--quiet", "origin", "HEAD:main")
    said = site.run()
    assert "Job succeeded" in said, said
    asked = site.log.read_text()
    assert asked.startswith("pr\nedit\ntemplate-update\n")
    assert "--title\nUpdate the template: conflicts to solve\n" in asked
    assert "\n  tox.toml: look for <<<<<<< (1 place)\n" in asked
    assert "<<<<<<< before updating\n" in branch(site, "tox.toml")


def test_what_a_person_pushed_to_the_branch_stays(site: Site, future: Path) -> None:
    edit(future / "template", ".gitignore.jinja", "build/\n", "build/\ncache/\n")
    release(future, "v99.1.0")
    git(site.project, "switch", "--quiet", "--create", "template-update")
    (site.project / "ours").write_text("")
    save(site.project)
    git(site.project, "push", "--quiet", "origin", "template-update")
    git(site.project, "switch", "--quiet", "-")
    said = site.run()
    assert "template-update has commits of theirs" in said, said
    assert "Job failed" in said
    assert branch(site, "ours") == ""
    assert not site.log.exists()


def test_a_branch_that_cannot_be_pushed_names_the_secret(site: Site, future: Path) -> None:
    edit(future / "template", ".gitignore.jinja", "build/\n", "build/\ncache/\n")
    release(future, "v99.1.0")
    hook = site.origin / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    said = site.run()
    assert "not pushed: a change of workflows needs the secret TEMPLATE_TOKEN" in said, said
    assert "Job failed" in said
    assert not site.log.exists()
