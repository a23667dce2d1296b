"""verify --hosts: what runs on each host, against what the ledger says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import DELIVERY, Site, new_site
from .wheels import COMMIT, NAME

TOML = """\
index = "{data}/index"
[stages.build]
budget = 5
[stages.production]
needs = ["build"]
environment = "production"
budget = 5
"""
DEPLOYED = """
import sys
from pathlib import Path
from delivery.artifact.wheel import Artifact
from delivery.project import Project
project = Project.find(Path.cwd())
artifact = Artifact("tiny.whl", sys.argv[1], sys.argv[2], sys.argv[3])
project.record("built", "build", artifact)
project.record("deployed", "production", artifact, environment="production")
"""


@pytest.fixture()
def hosts() -> Iterator[dict[str, Site]]:
    """Return two hosts, on which 1.0 is live."""
    with new_site() as a, new_site() as b:
        for site in (a, b):
            assert site.told("live", site.wheel("1.0"))["version"] == "1.0"
        yield {"a": a, "b": b}


def delivery(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``python3 -m delivery``, or other code, in a project."""
    return subprocess.run([sys.executable, *words], cwd=root, capture_output=True, text=True)


def kinds(root: Path) -> list[str]:
    """Return the kinds of the ledger's events."""
    listed = subprocess.check_output(
        ["git", "ls-tree", "-r", "--name-only", "refs/delivery/ledger"], cwd=root, text=True
    )
    return [path.split(".")[2] for path in sorted(listed.splitlines())]


def project(root: Path, hosts: dict[str, Site]) -> None:
    """Make a project whose production is these hosts."""
    shutil.copytree(DELIVERY, root / "delivery", ignore=shutil.ignore_patterns("inventories"))
    (root / "pyproject.toml").write_text(f'[project]\nname = "{NAME}"\n')
    (root / "delivery.toml").write_text(TOML)
    inventory = root / "delivery" / "inventories" / "production" / "hosts.json"
    inventory.parent.mkdir(parents=True)
    local = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    told = {
        name: {**local, "service_root": str(site.root), "service_port": site.port}
        for name, site in hosts.items()
    }
    inventory.write_text(json.dumps({"service": {"hosts": told}}))
    subprocess.run(["git", "init", "--quiet", root], check=True)


def test_a_host_with_another_release_or_none_that_runs_is_drift(
    hosts: dict[str, Site], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    project(root, hosts)
    one = hosts["a"].wheel("1.0").sha256
    recorded = delivery(root, "-c", DEPLOYED, "1.0", one, COMMIT)
    assert recorded.returncode == 0, recorded.stderr

    well = delivery(root, "-m", "delivery", "verify", "--hosts")
    assert well.returncode == 0, well.stdout + well.stderr
    assert well.stdout == "production: a runs 1.0\nproduction: b runs 1.0\n"

    assert hosts["b"].told("live", hosts["b"].wheel("1.1"))["version"] == "1.1"
    for _ in range(2):  # it is said every time, and recorded once
        ill = delivery(root, "-m", "delivery", "verify", "--hosts")
        assert ill.returncode == 1, ill.stdout + ill.stderr
        assert "production: b runs 1.1, the ledger says 1.0\n" in ill.stdout
    assert kinds(root) == ["built", "deployed", "drift"]

    told = json.loads(delivery(root, "-m", "delivery", "verify", "--hosts", "--json").stdout)
    assert [(row["host"], row["version"], row["asked"], row["drift"]) for row in told] == [
        ("a", "1.0", True, False),
        ("b", "1.0", True, True),
    ]
    assert told[1]["says"] == "runs 1.1, the ledger says 1.0"

    hosts["a"].stop()
    ill = delivery(root, "-m", "delivery", "verify", "--hosts")
    assert "production: a is stopped, the ledger says 1.0\n" in ill.stdout
    assert kinds(root)[2:] == ["drift", "drift"]


def test_an_environment_without_an_inventory_is_named(tmp_path: Path) -> None:
    root = tmp_path / "project"
    project(root, {})
    (root / "delivery/inventories/production").rename(root / "kept")
    done = delivery(root, "-m", "delivery", "stop", "production")
    assert done.returncode == 1
    said = "there is no delivery/inventories/production: make it, as its neighbours are"
    assert said in done.stderr and "Traceback" not in done.stderr
