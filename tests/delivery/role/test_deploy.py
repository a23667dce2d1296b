"""A deploy with the real playbook: what it does, what it refuses, and what it leaves alone."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests.delivery.load import load

from .conftest import Site, free_port, new_site, vars_of, wait
from .wheels import COMMIT


@pytest.fixture(scope="module")
def first() -> Iterator[tuple[Site, float]]:
    """Return a host after its first deploy by the playbook, and how long that took."""
    with new_site() as site:
        start = time.monotonic()
        run = site.deploy(site.wheel("1.0"))
        assert run.ok, run.output
        assert run.host["changed"]
        yield site, time.monotonic() - start


def test_first_deploy_serves_the_artifact(first: tuple[Site, float]) -> None:
    site, _ = first
    assert site.get() == {"version": "1.0", "commit": COMMIT, "sha256": site.wheel("1.0").sha256}


def test_result_tells_what_was_done(first: tuple[Site, float]) -> None:
    site, _ = first
    told = json.loads((site.work / "result.json").read_text())["hosts"]["localhost"]
    seconds = told.pop("seconds")
    assert set(seconds) == {"install", "migrate", "probe", "cutover", "drain"}
    assert told == {
        "ok": True,
        "changed": True,
        "reason": None,
        "url": site.url,
        "version": "1.0",
        "sha256": site.wheel("1.0").sha256,
        "commit": COMMIT,
        "previous": None,
        "earlier": [],
        "system": [],
        "migrated": False,
        "advanced": True,
    }


def test_second_run_changes_nothing(first: tuple[Site, float]) -> None:
    site, _ = first
    before = {path: path.stat().st_mtime_ns for path in site.root.rglob("*.*")}
    run = site.deploy(site.wheel("1.0"))
    assert run.ok
    assert not run.host["changed"]
    assert "changed=0" in run.output
    logs = {path for path in before if path.suffix == ".log"}
    after = {path: path.stat().st_mtime_ns for path in site.root.rglob("*.*")}
    assert [path for path in before if path not in logs and before[path] != after[path]] == []


def test_check_mode_tells_what_a_deploy_would_change(first: tuple[Site, float]) -> None:
    site, _ = first
    run = site.deploy(site.wheel("1.1"), "--check", "--diff")
    assert run.ok
    assert run.host["changed"]
    assert re.search(r"^-live: 1\.0 .*\n-previous: nothing\n\+live: 1\.1 ", run.output, re.M)
    assert site.live() == "1.0"
    assert site.installed() == {"1.0"}


def test_check_mode_of_what_is_live_tells_no_change(first: tuple[Site, float]) -> None:
    site, _ = first
    run = site.deploy(site.wheel("1.0"), "--check", "--diff")
    assert run.ok
    assert not run.host["changed"]


def test_check_mode_on_a_bare_host_makes_nothing(site: Site) -> None:
    run = site.deploy(site.wheel("1.0"), "--check", "--diff")
    assert run.ok
    assert run.host["changed"]
    assert not site.root.exists()


def test_new_version_under_load_loses_no_request(live: Site) -> None:
    with load(live.url, look=lambda body: str(json.loads(body)["version"])) as running:
        running.wait_for(1000)
        run = live.deploy(live.wheel("1.1"))
        running.wait_for(max(500, 5000 - running.sent))
    assert run.ok, run.output
    assert running.count.sent >= 5000
    assert (running.count.failed, running.count.reasons) == (0, {})
    assert set(running.count.seen) == {"1.0", "1.1"}
    assert run.host["previous"] == "1.0"
    assert live.instances() == {"1.1"}


def test_changed_environment_is_cut_over_to(live: Site) -> None:
    words = {"TINY_WORD": 'it\'s "100%" – ${HOME}\n; #', "TINY_LEVEL": 8}
    with load(live.url, look=lambda body: str(json.loads(body)["word"])) as running:
        running.wait_for(200)
        run = live.deploy(live.wheel("1.0"), "-vvvv", service_environment=words)
        running.wait_for(200)
    assert run.ok, run.output
    assert run.host["changed"]
    assert running.count.failed == 0, running.count.reasons
    assert set(running.count.seen) == {"", words["TINY_WORD"]}


def test_secrets_are_in_no_output_and_no_open_file(live: Site) -> None:
    secret = "correct-horse-battery"
    run = live.deploy(
        live.wheel("1.1", "says its secret"),
        "-vvvv",
        "--diff",
        service_environment={"TINY_SECRET": secret},
    )
    assert not run.ok
    assert "the secret is ***" in run.output
    assert secret not in run.output
    for path in live.root.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077 and path.suffix != ".log":
            assert secret.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("import error", "its process ended"),
        ("dies at once", "its process ended"),
        ("500 only", "was not healthy within 3 s: /healthz answers 500"),
        ("never ready", "was not healthy within 3 s: no answer within"),
        ("wrong version", "/version tells version 9.9.9 with sha256"),
        ("dies after 4 probes", "failed after cutover"),
    ],
)
def test_broken_release_leaves_live_up_and_says_why(shared: Site, fault: str, reason: str) -> None:
    broken = shared.wheel(f"2.0+{fault.replace(' ', '.')}", fault)
    with load(shared.url, clients=2, pause=0.02) as running:
        run = shared.deploy(broken, service_probe_seconds=3)
    assert not run.ok
    assert reason in run.host["reason"]
    assert re.search(r"see \S+/log/[0-9a-f]{12}\.log", run.host["reason"])
    assert shared.live() == "1.0"
    # A worker whose master was killed takes a second to see that.
    wait(lambda: shared.instances() == {"1.0"})
    assert shared.journal()[-1]["reason"] == run.host["reason"]
    if fault != "dies after 4 probes":
        assert running.count.failed == 0, running.count.reasons


def test_log_of_a_broken_release_is_shown(shared: Site) -> None:
    run = shared.deploy(shared.wheel("3.0", "import error"))
    assert "ModuleNotFoundError: No module named 'not_there'" in run.output


def test_tampered_wheel_is_refused(shared: Site) -> None:
    wheel = shared.wheel("1.1")
    wheel.path.write_bytes(wheel.path.read_bytes() + b"\0")
    run = shared.deploy(wheel)
    assert not run.ok
    assert "is not the artifact that was tested" in run.host["reason"]
    assert not (shared.root / "releases/1.1").exists()
    assert shared.live() == "1.0"


def test_tampered_wheel_on_a_bare_host_makes_nothing(site: Site) -> None:
    wheel = dataclasses.replace(site.wheel("1.0"), sha256="0" * 64)
    assert not site.deploy(wheel).ok
    assert not site.root.exists()


def test_another_artifact_of_the_same_version_is_refused(shared: Site) -> None:
    run = shared.deploy(shared.wheel("1.0", extra="# other"))
    assert not run.ok
    assert "one version is one artifact" in run.host["reason"]
    assert shared.live() == "1.0"


def test_missing_wheel_is_named(shared: Site) -> None:
    wheel = shared.wheel("1.7")
    wheel.path.unlink()
    run = shared.deploy(wheel)
    assert run.host["reason"] == (
        f"There is no {wheel.path}: give service_wheel the path of a file."
    )


def test_busy_port_is_refused_before_anything_changes(site: Site) -> None:
    with socket.create_server(("127.0.0.1", site.port)):
        run = site.deploy(site.wheel("1.0"))
    assert not run.ok
    assert f"Port {site.port} on 127.0.0.1 is taken by process" in run.host["reason"]
    assert "pytest" in run.host["reason"]
    assert not site.root.exists()


def test_second_deploy_at_once_is_refused_and_told_who(live: Site) -> None:
    slow = live.start("deploy.yml", **vars_of(live.wheel("1.1", "never ready")))
    wait(
        lambda: '"deploy", "before"' in (live.root / "journal.jsonl").read_text()
        and "1.1" in (live.root / "lock").read_text()
    )
    other = live.told("live", live.wheel("1.2"))
    assert re.search(
        r"is being changed by ada with version 1\.1, since 20\S+ \(process \d+\)", other["reason"]
    )
    slow.kill()
    slow.communicate()


def test_root_with_odd_characters_works() -> None:
    with new_site("a b%(x)s 'q\" #é;{$HOME}") as site:
        assert site.deploy(site.wheel("1.0")).ok
        run = site.deploy(site.wheel("1.1"))
        assert run.ok, run.output
        assert site.live() == "1.1"
        assert site.rollback().host["version"] == "1.0"


def test_root_too_long_for_sockets_is_refused(site: Site) -> None:
    run = site.deploy(site.wheel("1.0"), service_root=f"/tmp/{'x' * 90}")
    assert "choose a path that is 14 bytes shorter" in run.host["reason"]


@pytest.mark.parametrize("folder", ["/home/parcels", "/var/tmp/parcels"])
def test_root_that_units_cannot_see_is_refused(site: Site, folder: str) -> None:
    told = site.told("live", site.wheel("1.0"), init="systemd", root=folder)
    assert told["reason"] == (
        f"service_root {folder} is in {folder.removesuffix('/parcels')}, which the units of the"
        " service cannot see: choose one elsewhere, like /opt/tiny-service."
    )


def test_an_index_with_a_password_in_its_address_is_refused(site: Site) -> None:
    index = "https://ada:sesame-open@packages.example.com/simple"
    run = site.deploy(site.wheel("1.0"), "-vvv", service_init="systemd", service_index=index)
    assert "put them into /root/.netrc there" in run.host["reason"]
    assert "sesame-open" not in run.output


def test_stopped_service_comes_back_with_the_live_release_only(live: Site) -> None:
    assert live.told("live", live.wheel("1.1"))["changed"]
    run = live.play("deploy.yml", service_state="stopped")
    assert run.ok
    assert run.host["changed"]
    assert live.instances() == set()
    with pytest.raises(OSError):
        live.live()
    assert not live.play("deploy.yml", service_state="stopped").host["changed"]
    assert live.deploy(live.wheel("1.1")).host["changed"]
    assert live.live() == "1.1"
    assert live.instances() == {"1.1"}


def test_moved_port_is_taken(live: Site) -> None:
    live.port = free_port()
    run = live.deploy(live.wheel("1.0"))
    assert run.ok, run.output
    assert live.live() == "1.0"


def test_changed_front_is_reloaded_and_cuts_no_kept_connection(live: Site) -> None:
    """What Go's server drops when it shuts down is a request whose head it has not read yet."""
    files = live.parameters("live")["files"]
    files["Caddyfile"] = files["Caddyfile"].replace("\tbind", "\theader X-Front new\n\tbind")
    with load(live.url) as running:
        running.wait_for(300)
        told = live.told("live", live.wheel("1.0"), files=files)
        running.wait_for(300)
    assert told["stack"] == ["Caddyfile", "rollback"]
    assert [reason for reason in running.count.reasons if " kept " in reason] == []
    assert running.count.failed <= 8


def test_without_uv_pip_does_the_same(live: Site) -> None:
    child = live.begin(live.parameters("live", live.wheel("1.1")), uv="-")
    output, _ = child.communicate()
    assert json.loads(output)["version"] == "1.1"
    python = live.root / "releases/1.1/lib"
    assert list(python.glob("*/site-packages/pip"))
    assert list(python.glob("*/site-packages/gunicorn/__pycache__/*.pyc"))


def test_ipv6_address_is_refused(site: Site) -> None:
    assert "IPv4" in site.told("live", site.wheel("1.0"), address="::1")["reason"]


def test_unreachable_host_is_in_the_result(site: Site) -> None:
    far = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    run = site.deploy(site.wheel("1.0"), **far)
    assert not run.ok
    assert run.host["reason"]
