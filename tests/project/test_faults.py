"""One planted fault a stage turns exactly that stage red, and production does not move."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .conftest import Service
from .test_walk import STAGES

pytestmark = [pytest.mark.slow, pytest.mark.browser]
PACKAGE = "src/hello_delivery"


def lint(service: Service) -> None:
    service.edit(f"{PACKAGE}/app.py", "from flask import", "import os\nfrom flask import")


def types(service: Service) -> None:
    path = service.root / PACKAGE / "greeting.py"
    path.write_text(path.read_text() + "\n\nANSWER: int = str(42)\n")


def table(service: Service) -> None:
    service.edit("delivery.toml", "budget = 30", "budget = 300")


def unit(service: Service) -> None:
    path = service.root / "tests/unit/test_wrong.py"
    path.write_text(
        '"""A wrong claim."""\n\n\ndef test_wrong() -> None:\n    assert sum([1, 1]) == 3\n'
    )


def coverage(service: Service) -> None:
    path = service.root / PACKAGE / "greeting.py"
    path.write_text(
        path.read_text()
        + '\n\ndef untested() -> int:\n    """Nobody calls this."""\n    return 42\n'
    )


def doctest(service: Service) -> None:
    for path in (service.root / PACKAGE).glob("*.py"):
        path.write_text(path.read_text().replace(">>>", "$"))


def build(service: Service) -> None:
    service.edit("pyproject.toml", "setuptools.build_meta", "setuptools.nowhere")


def integration(service: Service) -> None:
    service.edit("pyproject.toml", ".server:main", ".server:nowhere")


def component(service: Service) -> None:
    # Nothing but the SBOM misses it. One more requirement has tox make it anew for who comes next.
    deps = '["-r requirements/prod.txt"'
    inspect = '    ["python", "-m", "delivery", "inspect"],\n'
    lose = "from importlib.metadata import distribution as one; from shutil import rmtree;"
    lose += "rmtree(one('itsdangerous')._path)"
    head, begin, rest = (service.root / "tox.toml").read_text().partition("[env.integration]")
    assert deps in rest and inspect in rest
    rest = rest.replace(deps, f'{deps}, "iniconfig"', 1)
    rest = rest.replace(inspect, f'    ["python", "-c", "{lose}"],\n{inspect}', 1)
    (service.root / "tox.toml").write_text(head + begin + rest)


def docs(service: Service) -> None:
    path = service.root / "docs/index.rst"
    path.write_text(path.read_text() + "\nSee :doc:`nowhere`.\n")


def example(service: Service) -> None:
    for path in (service.root / "docs").glob("*.rst"):
        path.write_text(path.read_text().replace(">>>", "$"))


def unsafe(service: Service) -> None:
    path = service.root / PACKAGE / "greeting.py"
    head, body = path.read_text().split("\n\n", 1)
    sign = 'SIGN = hashlib.md5(b"Ada").hexdigest()'
    path.write_text(f"{head}\n\nimport hashlib\n\n{sign}\n\n{body}")


def secret(service: Service) -> None:
    # In two parts, for this file must not look as if it held one.
    (service.root / "docs/notes.txt").write_text("key: " + "AKIA" + "Q7W3E5R1T9Y2U4I6\n")


def publish(service: Service) -> None:
    service.edit("delivery.toml", "{data}/hello-delivery/index", "/proc/no-index-here")


def acceptance(service: Service) -> None:
    (service.root / "tests/acceptance/features/wrong.feature").write_text(
        "Feature: A wrong claim\n  @browser\n  Scenario: It says goodbye\n"
        "    Given a visitor who opens the page in a browser\n"
        '    Then the browser shows "Goodbye"\n'
    )


def performance(service: Service) -> None:
    path = service.root / PACKAGE / "app.py"
    text = path.read_text().replace(
        '        return render_template("index.html", release=release)\n',
        '        sleep(0.3)\n        return render_template("index.html", release=release)\n',
        1,
    )
    path.write_text(text.replace("import perf_counter", "import perf_counter, sleep"))


def production(service: Service) -> None:
    service.edit(
        "delivery/inventories/production/hosts.yml",
        "service_environment: {}",
        "service_environment: {HELLO_DELIVERY_LOG_LEVEL: NONSENSE}",
    )


FAULTS: dict[Callable[[Service], None], str] = {
    lint: "lint",
    types: "lint",
    table: "lint",
    unit: "unit",
    coverage: "unit",
    doctest: "unit",
    build: "build",
    integration: "integration",
    component: "integration",
    docs: "docs",
    example: "docs",
    unsafe: "security",
    secret: "security",
    publish: "publish",
    acceptance: "acceptance",
    performance: "performance",
    production: "production",
}


# What a red stage leaves for whoever mends it, beside its log: here, what the browser showed.
EVIDENCE = {"acceptance": ".delivery/reports/acceptance/It-says-goodbye.png"}

# The way out that it is told, where that is a command.
SAYS: dict[Callable[[Service], None], str] = {table: "python3 -m delivery ci --write"}


@pytest.mark.parametrize("plant", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_turns_its_stage_red_and_nothing_goes_on(
    green: Service, plant: Callable[[Service], None]
) -> None:
    before = green.version()
    plant(green)
    commit = green.commit(f"Break {plant.__name__}")
    said = green.delivery("walk", status=1)
    stage = FAULTS[plant]
    ran = [line for line in green.log(commit) if line.endswith((" passed", " failed"))]
    # A stage that ran beside the red one has a verdict of its own.
    assert [line for line in ran if line.endswith(" failed")] == [f"{stage} failed"], said
    assert ran == sorted(ran, key=lambda line: STAGES.index(line.split()[0])), said
    if stage in STAGES[STAGES.index("publish") :]:
        assert len(ran) == STAGES.index(stage) + 1, said
    else:
        assert "publish passed" not in ran, said
    assert "the whole log: .delivery/logs/" in said
    assert list(green.root.glob(EVIDENCE.get(stage, "*")))
    assert SAYS.get(plant, "") in said
    if stage != "production":
        refusal = green.delivery("run", "production", status=3)
        wanted = "performance" if stage == "performance" else "acceptance"
        assert refusal.startswith(f"delivery: production takes only what passed {wanted}")
    if stage == "acceptance":
        assert "failed it" in green.delivery("deploy", "production", status=3)
    assert green.version() == before


def test_every_stage_has_a_fault() -> None:
    assert set(FAULTS.values()) == set(STAGES)
