"""Buildbot's buttons, schedule and secrets: on PostgreSQL, with the ledger's gate behind them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from delivery.git import Git

from tests.ci import deployer, postgres
from tests.ci.bot import Bot, Login
from tests.ci.conftest import started
from tests.ci.sample import STAGES, Sample
from tests.ci.test_buildbot import IDENTITY, installed
from tests.render.conftest import Render

__all__ = ["installed"]
pytestmark = pytest.mark.postgres
MONDAY = '{"dayOfWeek": 0, "hour": 4, "minute": 17,'
SECRET = "correct-horse-battery"
TELLING = "unit tells\nacceptance tells\nproduction tells"
WHY = "the boss said so"


@dataclass(frozen=True)
class Office:
    """A master with what stands behind its buttons, and who may press them.

    Attributes:
        bot: the master.
        database: the folder of the socket of its database.
        grace: an approver.
        linus: somebody with a password, and nothing to say.
        due: when its weekly schedule comes.
        commits: two that were delivered, the older first, by their versions.
    """

    bot: Bot
    database: Path
    grace: Login
    linus: Login
    due: datetime
    commits: dict[str, str]

    @property
    def sample(self) -> Sample:
        """The project."""
        return self.bot.sample

    def deployments(self, commit: str) -> list[tuple[str, str, str, str | None]]:
        """Return what became of a commit in production: event, by, via, reason."""
        kinds = ("deployed", "rolled-back")
        return [
            (event.event, event.by, event.via, event.reason)
            for event in self.sample.events(commit)
            if event.stage == "production" and event.event in kinds
        ]

    def builds(self, builder: str) -> int:
        """Return how many builds of a builder are complete."""
        return len(self.bot.get(f"builders/{builder}/builds?complete=true")["builds"])

    def press(self, button: str, version: str) -> str:
        """Let the approver press a button; return what the builds behind it said in the end."""
        before = self.builds(button)
        assert self.bot.press(button, self.grace, version=version, reason=WHY) == 200
        self.bot.wait(lambda: self.builds(button) > before)
        return self.bot.said(button)

    def refused(self, button: str, version: str) -> bool:
        """Return whether whoever may not press a button gets nothing by it."""
        told = {"version": version, "reason": WHY}
        asked = [self.bot.press(button, who, **told) for who in (None, self.linus)]
        builds = self.bot.get(f"builders/{button}/builds")["builds"]
        return asked == [403, 403] and builds == []


@pytest.fixture(scope="module")
def office(
    render: Render, template: Path, tmp_path_factory: pytest.TempPathFactory, installed: Path
) -> Iterator[Office]:
    """Return a running master on PostgreSQL, whose week is over in two minutes."""
    home, due = tmp_path_factory.mktemp("office"), datetime.now() + timedelta(minutes=2)

    def change(sample: Sample) -> None:
        stage = "[stages.production]\n"
        sample.edit("delivery.toml", stage, f'{stage}secrets = ["TOKEN"]\n')
        now = f'{{"dayOfWeek": {due.weekday()}, "hour": {due.hour}, "minute": {due.minute},'
        sample.edit("buildbot/master.cfg", MONDAY, now)
        old = f"_src_path: {template}\n"
        sample.edit(".copier-answers.yml", old, f"_commit: 1.0.0\n_src_path: {moved(home)}\n")

    def moved(home: Path) -> Path:
        """Return a template that moved on after the project was made."""
        shutil.copytree(template, home / "template")
        git = ["git", "-C", str(home / "template")]
        subprocess.run([*git, "init", "--quiet"], check=True)
        for version in ("1.0.0", "1.1.0"):
            subprocess.run([*git, "add", "--all"], check=True)
            subprocess.run([*git, "commit", "-qm", version, "--allow-empty"], check=True)
            subprocess.run([*git, "tag", version], check=True)
        return home / "template"

    with pytest.MonkeyPatch.context() as patch, postgres.server() as database:
        for role in ("AUTHOR", "COMMITTER"):
            for name, text in IDENTITY.items():
                patch.setenv(f"GIT_{role}_{name}", text)
        sample = started(render, home, change, ci=["buildbot"])
        bot = Bot(sample, installed)
        url = f"postgresql://{postgres.USER}@/postgres?host={database}"
        bot.settings(db_url=url, approvers=["grace@example.org"])
        grace, linus = bot.admit("grace@example.org"), bot.admit("linus@example.org")
        (bot.home / "secrets").mkdir(mode=0o700)
        (bot.home / "secrets" / "TOKEN").write_text(f"{SECRET}\n")
        (bot.home / "secrets" / "TOKEN").chmod(0o600)
        python = sample.home / "deployer" / "bin" / "python"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", python.parents[1]], check=True
        )
        ansible = python.with_name("ansible-playbook")
        ansible.write_text(f"#!{python}\n{Path(deployer.__file__).read_text()}")
        ansible.chmod(0o755)
        with bot.running():
            commits = [bot.sample.commit("One", TELLING), bot.sample.commit("Two")]
            bot.built(*commits, until="production")
            events = [bot.sample.events(commit) for commit in commits]
            versions = [next(str(e.version) for e in told if e.version) for told in events]
            known = dict(zip(versions, commits, strict=True))
            yield Office(bot, database, grace, linus, due, known)


def test_the_master_keeps_its_builds_in_postgresql(office: Office) -> None:
    for commit in office.commits.values():
        count = f"SELECT count(*) FROM changes WHERE revision = '{commit}'"
        assert postgres.ask(office.database, count) == "1"
    assert int(postgres.ask(office.database, "SELECT count(*) FROM builds")) >= 2 * len(STAGES) - 2
    assert not list(office.bot.home.glob("*.sqlite"))


def test_a_secret_reaches_the_stage_that_names_it_and_no_other(office: Office) -> None:
    told = (office.sample.home / "told").read_text().splitlines()
    wanted = {"unit": None, "acceptance": None, "production": SECRET}
    assert {f"{name} has TOKEN={token}" for name, token in wanted.items()} <= {*told}


def test_a_chosen_version_is_deployed_again_by_who_may(office: Office) -> None:
    version, commit = [*office.commits.items()][-1]
    assert office.refused("deploy-production", version)
    said = office.press("deploy-production", version)
    again = ("deployed", office.grace[0], "buildbot", WHY)
    assert office.deployments(commit)[1:] == [again], said


def test_a_log_has_no_secret(office: Office) -> None:
    said = office.press("deploy-production", [*office.commits][-1])
    assert "exec has TOKEN=" in said
    assert SECRET not in said and SECRET not in (office.bot.home / "twistd.log").read_text()


@pytest.fixture(scope="module")
def gone_back(office: Office) -> Office:
    """Return the office after the approver went back to the first commit."""
    version = [*office.commits][0]
    assert office.refused("rollback-production", version)
    office.press("rollback-production", version)
    return office


def test_a_rollback_is_recorded_on_both_sides_by_who_may(gone_back: Office) -> None:
    first, second = map(gone_back.deployments, gone_back.commits.values())
    who = (gone_back.grace[0], "buildbot", WHY)
    assert second[-1] == ("rolled-back", *who), gone_back.bot.said("rollback-production")
    assert first[-1] == ("deployed", *who)


def test_what_was_rolled_back_is_not_deployed_again(gone_back: Office) -> None:
    version, commit = [*gone_back.commits.items()][-1]
    before = gone_back.deployments(commit)
    said = gone_back.press("deploy-production", version)
    assert f"{version} was rolled back from production by" in said, said
    assert gone_back.deployments(commit) == before


@pytest.mark.parametrize("button", ["rollback-production", "deploy-acceptance"])
def test_a_revoked_version_is_neither_gone_back_to_nor_deployed(
    gone_back: Office, button: str
) -> None:
    version, commit = [*gone_back.commits.items()][0]
    before = gone_back.deployments(commit)
    revoke = ["python3", "-m", "delivery", "revoke", version, "--reason", "it leaks"]
    gone_back.sample.run(revoke, gone_back.sample.root, DELIVERY_LEDGER_REMOTE="origin")
    said = gone_back.press(button, version)
    assert f"{version} was revoked by" in said, said
    assert gone_back.deployments(commit) == before


@pytest.mark.parametrize("version", ["--force", "", "1.0; reboot"])
def test_what_is_no_version_is_refused_as_it_is_typed(office: Office, version: str) -> None:
    status = office.bot.press("deploy-production", office.grace, version=version)
    assert status == 400


def test_every_week_it_pushes_what_the_template_brings_and_looks_at_advisories(
    office: Office,
) -> None:
    bot = office.bot
    bot.wait(lambda: datetime.now() > office.due + timedelta(seconds=2))
    bot.idle()
    reasons = "The Nightly scheduler named 'weekly' triggered this build"
    asked = bot.get(f"buildsets?reason={reasons.replace(' ', '%20')}")["buildsets"]
    requests = [
        bot.get(f"buildrequests?buildsetid={one['bsid']}")["buildrequests"] for one in asked
    ]
    names = {each["builderid"]: each["name"] for each in bot.get("builders")["builders"]}
    found = {names[one["builderid"]]: one["results"] for some in requests for one in some}
    passed, warned = 0, 1
    assert found == {"weekly": warned, "security": passed}, bot.said("weekly")
    assert "updated from 1.0.0 to 1.1.0" in bot.said("weekly")
    told = Git(bot.sample.origin).text("log", "-1", "--format=%s", "template-update")
    assert told == "Update the template"
