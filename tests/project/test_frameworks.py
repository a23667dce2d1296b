"""The other frameworks walk to production too, and a change of theirs under load."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import copier
import pytest

from ..conftest import ROOT
from ..delivery.load import load
from ..smoke.faults import FAULTS, Plant
from ..smoke.options import WALKED
from .conftest import Person, Service, give
from .test_walk import STAGES

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# The release before knows nothing of a new column: its default is the database's affair.
EXPANSION = '''\
"""Days have a word."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One more column."""

    dependencies = [("moved_parcel", "0001_day")]
    operations = [
        migrations.AddField("day", "word", models.CharField(max_length=20, db_default="")),
    ]
'''


def made(person: Person, framework: str, folder: str = ".") -> Service:
    """Return a new project of a framework, in a folder of the person's, with its first commit."""
    template = person.home / folder / f"{framework}-template"
    shutil.copytree(ROOT / "template", template / "template")
    shutil.copy(ROOT / "copier.yml", template)
    service = Service(person, template, template.with_name(f"{framework}-parcel"))
    data, settings = WALKED[framework], copier.Settings()
    copier.run_copy(str(template), service.root, data, defaults=True, quiet=True, settings=settings)
    for path in [service.root, *service.root.rglob("*")]:
        give(path)
    service.git("init", "--quiet", "--initial-branch=main")
    service.commit("Start")
    return service


# What `make walk` makes, walks in the other tests.
OTHERS = [name for name, told in WALKED.items() if "framework" in told]


@pytest.fixture(scope="module", params=OTHERS)
def walked(request: pytest.FixtureRequest, person: Person) -> Iterator[tuple[Service, str]]:
    """Walk a project of a framework to production; return it, and what was said."""
    service = made(person, request.param)
    try:
        yield service, service.delivery("walk")
    finally:
        service.delivery("stop", status=None)


def greeted(service: Service) -> int:
    """Return how many the page says it has greeted."""
    with urllib.request.urlopen(service.url("production"), timeout=5) as answer:
        found = re.search(r"(\d+) greeted today", answer.read().decode())
    return int(found[1]) if found else -1


def expand(service: Service) -> None:
    """Give a model one more column, and the migration that makes it."""
    package = Path("src/moved_parcel")
    column = '    word = models.CharField(max_length=20, db_default="")\n'
    old = "    greetings = models.PositiveIntegerField(default=0)\n"
    service.edit(str(package / "models.py"), old, old + column)
    (service.root / package / "migrations/0002_word.py").write_text(EXPANSION)


def test_a_change_of_any_framework_loses_no_request(walked: tuple[Service, str]) -> None:
    service, said = walked
    lines = re.findall(r"^  (\S+) +passed ", said, re.MULTILINE)
    others = [name for name in lines if name != "staging"]
    assert others == STAGES, said
    first, before = service.version(), greeted(service)
    service.edit(f"src/{package(service)}/static/style.css", "1.9rem", "2rem")
    if before >= 0:
        expand(service)
    commit = service.commit("Change the style")
    service.delivery("walk", "--to", "performance")
    with load(service.url("production"), clients=4, pause=0.02) as running:
        service.delivery("walk")
        running.wait_for(max(200, 2000 - running.sent))
        service.delivery("rollback", "production", "--reason", "a test")
        running.wait_for(200)
    assert running.count.failed == 0, running.count.reasons
    assert running.count.sent >= 2000
    assert service.version() == first
    assert "production rolled-back" in service.log(commit)
    if before >= 0:
        # Both releases counted into one database, which was migrated twice and never back.
        posts = sum(count for kind, count in running.count.kinds.items() if "POST" in kind)
        assert greeted(service) == before + posts
        assert migrations(service) == ["begin", "migrated", "end"] * 2 + ["begin", "end"]
        noted = service.git("grep", "-l", '"migrated": true', "refs/delivery/ledger").splitlines()
        events = [Path(path).name.split(".")[1:3] for path in noted]
        deployed = ["acceptance", "deployed"], ["production", "deployed"]
        assert events == [*deployed, *deployed]


@pytest.mark.parametrize("plant", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_turns_its_stage_red_and_no_other(
    walked: tuple[Service, str], plant: Plant
) -> None:
    """What was green in the walk just now is red with the fault."""
    service, stage = walked[0], FAULTS[plant]
    plant(service.root)
    commit = service.commit(f"Break {plant.__name__}")
    try:
        said = service.delivery("walk", status=1)
        assert "the whole log: .delivery/logs/" in said
        # A stage that ran beside the red one has a verdict of its own.
        told = service.log(commit)
        assert [line for line in told if line.endswith(" failed")] == [f"{stage} failed"], said
        assert "publish passed" not in told
    finally:
        service.git("reset", "--quiet", "--hard", "HEAD~1")


@pytest.mark.parametrize("walked", ["django"], indirect=True)
def test_a_migration_that_the_live_release_would_notice_is_red(
    walked: tuple[Service, str],
) -> None:
    service = walked[0]
    kept = 'operations = [\n        migrations.RemoveField("day", "greetings"),\n'
    contraction = EXPANSION.replace("operations = [\n", kept)
    path = service.root / "src/moved_parcel/migrations/0002_word.py"
    expand(service)
    path.write_text(contraction)
    service.edit("src/moved_parcel/models.py", "    greetings = models", "    # greetings = models")
    commit = service.commit("Contract at once")
    try:
        service.delivery("run", "unit", status=1)
        log = (service.root / f".delivery/logs/{commit[:12]}/unit.1.log").read_text()
        assert "0002_word: Remove field greetings from day" in log
    finally:
        service.git("reset", "--quiet", "--hard", "HEAD~1")


def package(service: Service) -> str:
    """Return the name of the package."""
    return next((service.root / "src").glob("*/app.py")).parent.name


def migrations(service: Service) -> list[str]:
    """Return what the journal of production tells, in order."""
    (journal,) = service.person.home.glob(".local/share/moved-parcel/production/journal.jsonl")
    return [json.loads(line)["event"] for line in journal.read_text().splitlines()]
