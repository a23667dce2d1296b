"""The README's two commands, on a fresh machine, by somebody without root."""

from __future__ import annotations

import hashlib
import re
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from .conftest import Person, Service

pytestmark = [pytest.mark.slow, pytest.mark.browser]

STAGES = [
    "lint",
    "unit",
    "build",
    "integration",
    "docs",
    "security",
    "publish",
    "acceptance",
    "performance",
    "production",
]


@pytest.fixture(scope="module")
def accepted(service: Service) -> Service:
    """Return the service with its first commit in acceptance too, whatever was tried there."""
    service.delivery("run", "acceptance")
    return service


def test_make_walk_goes_from_nothing_to_production(first_walk: tuple[Service, str]) -> None:
    service, said = first_walk
    lines = re.findall(r"^  (\S+) +passed +([\d.]+) s of +(\d+) s", said, re.MULTILINE)
    assert [stage for stage, _, _ in lines] == STAGES, said
    assert f"is in production: {service.url('production')}/" in said
    assert "make stop" in said
    assert "NOTE" not in said  # it has a browser and an advisory database: nothing was left out


def test_production_runs_the_artifact_of_the_commit(accepted: Service) -> None:
    service = accepted
    commit = service.git("rev-list", "--max-parents=0", "HEAD")
    told = service.version()
    assert told["version"] == f"0.0.0.post1.dev1+g{commit[:9]}"
    assert told["commit"] == commit
    assert told == service.version("acceptance")
    (wheel,) = (service.root / "dist").glob("*.whl")
    assert told["sha256"] == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_the_page_is_there(service: Service) -> None:
    with urllib.request.urlopen(service.url("production"), timeout=5) as answer:
        assert "Hello Delivery" in answer.read().decode()


def test_the_work_tree_is_clean_after_the_walk(service: Service) -> None:
    assert service.git("status", "--porcelain") == ""


def test_the_template_is_clean_after_the_walk(service: Service) -> None:
    said = service.person.run("git", "status", "--porcelain", cwd=service.template)
    assert said == ""


def test_the_ledger_names_every_stage_in_order(service: Service) -> None:
    commit = service.git("rev-list", "--max-parents=0", "HEAD")
    passed = [line.split()[0] for line in service.log(commit) if line.endswith(" passed")]
    assert passed[: len(STAGES)] == STAGES


def test_a_second_make_walk_changes_nothing(service: Service) -> None:
    ledger = service.git("rev-parse", "refs/delivery/ledger")
    started = time.monotonic()
    said = service.person.run("make", "walk", cwd=service.template)
    assert said.count("before, ") == len(STAGES), said
    assert service.git("rev-parse", "refs/delivery/ledger") == ledger
    assert time.monotonic() - started < 60  # it ran no stage; the bound only tells that apart


def test_cleaning_the_clone_breaks_nothing(green: Service) -> None:
    green.git("clean", "-ffdxq")
    said = green.delivery("walk")
    assert said.count("before, ") == len(STAGES), said
    green.delivery("run", "integration")  # needs the wheel, which only the index has now


def test_status_tells_what_is_live_and_since_when(accepted: Service) -> None:
    said = accepted.delivery("status")
    version = accepted.version()["version"]
    for environment in ("acceptance", "production"):
        assert re.search(
            rf"{environment}: {re.escape(version)}, deployed .+ by .+\n"
            r"  passed in .+\n"
            r"  http\S+ answers",
            said,
        ), said


def test_stop_stops_and_the_next_walk_starts_it_again(service: Service) -> None:
    before = service.version()
    service.person.run("make", "stop", cwd=service.template)
    with pytest.raises(OSError):
        service.version()
    said = service.person.run("make", "walk", cwd=service.template)
    assert "is in production" in said
    assert service.version() == before


def test_what_was_never_walked_is_not_stopped(person: Person, clone: Path) -> None:
    said = person.run("make", "stop", "NAME=Nobody At All", cwd=clone, status=2)
    assert "build/nobody-at-all is not there" in said, said


def test_a_machine_without_a_browser_is_told_what_it_lacks(
    green: Service, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bare = green.person.home / "bin-without-browser"
    bare.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for tool in Path(folder).iterdir():
            if not tool.name.startswith("chrom") and not (bare / tool.name).is_symlink():
                (bare / tool.name).symlink_to(tool)
    other = Service(replace(green.person, path=str(bare)), green.template, green.root)
    said = other.delivery("run", "acceptance")
    assert re.search(
        r"^    NOTE: .*browser.*apt(-get)? install .*chromium", said, re.MULTILINE
    ), said
    assert "passed" in said


def test_acceptance_refuses_any_other_artifact_than_the_one_under_test(service: Service) -> None:
    told = service.version("acceptance")
    under_test = {"SERVICE_URL": service.url("acceptance"), "SERVICE_VERSION": told["version"]}
    behave = str(service.root / ".tox" / "acceptance" / "bin" / "behave")
    said = service.person.run(
        *(behave, "tests/acceptance"),
        cwd=service.root,
        status=1,
        **under_test,
        SERVICE_SHA256="0" * 64,
    )
    assert f"runs sha256 {told['sha256']}, but under test is {'0' * 64}" in said, said


def test_a_command_is_told_what_is_deployed(service: Service) -> None:
    said = service.delivery("exec", "production", "--", "printenv", "SERVICE_URL", "SERVICE_SHA256")
    assert said.split() == [service.url("production"), service.version()["sha256"]]
