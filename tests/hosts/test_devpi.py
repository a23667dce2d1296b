"""A team's own devpi on a host: set up, used, renewed, lost and restored."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.delivery.role.conftest import ROLE
from tests.delivery.role.wheels import NAME, Wheel, wheel

from .host import CONTROLLER
from .index import fill
from .lab import Lab
from .shelf import DOMAIN, LEVELS, NOBODY, PASSWORDS, Server, certified, changed

pytestmark = pytest.mark.hosts

# The release before, with what it takes from the newer one's pins.
OLD = """devpi-server==6.19.0 \\
    --hash=sha256:8885d35be2c83784c84a157c97199843d808d6e0dea32e4dff37a4395b6a3ed8
"""
NEW = [str(ROOT / "requirements/devpi.txt"), str(ROLE / "files/caddy.txt")]


@pytest.fixture(scope="module")
def bare(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A host that has nothing of devpi, and reaches an index with the release before the pinned."""
    work = tmp_path_factory.mktemp("team")
    new, old = ROOT / "requirements/devpi.txt", work / "old.txt"
    text = re.sub(r"(?m)^devpi-server==(.|\\\n)+?[^\\]\n", OLD, new.read_text())
    assert OLD in text
    old.write_text(text)
    folder, one = work / "index", work / "one.txt"
    one.write_text(OLD)
    fill(folder, [new, one, ROLE / "files/caddy.txt"])
    serve = ["-m", "http.server", "--bind", CONTROLLER, "8081", "--directory", str(folder)]
    null = subprocess.DEVNULL
    index = lab.start([sys.executable, *serve], stdout=null, stderr=null)
    made = Server(lab, lab["h5"], work)
    made.variables = {
        "devpi_requirements": [str(old), str(ROLE / "files/caddy.txt")],
        "devpi_mirror": f"http://{CONTROLLER}:8081/simple/",
    }
    try:
        yield made
    finally:
        index.terminate()
        index.wait()


@pytest.fixture(scope="module")
def server(bare: Server) -> Iterator[Server]:
    """A devpi of that release, set up in one run; the host has no other network."""
    assert changed(bare.play()) > 0
    yield bare
    bare.gone()


@pytest.fixture(scope="module")
def promoted(server: Server) -> Wheel:
    """A wheel that the tool published with the team's password, and promoted to production."""
    made = wheel(server.work / "wheels", "1.0")
    done = server.tool("publish", made)
    assert done.stdout == "True\n", done.stderr
    done = server.tool("promote", made, *LEVELS[1:])
    assert done.stdout == "True\nTrue\n", done.stderr
    return made


def test_a_check_of_a_bare_host_ends_well_and_does_nothing(bare: Server) -> None:
    done = bare.play("--check", "--diff")
    assert changed(done) == 0 and "failed=0" in done.stdout
    there = "ls /opt /etc/systemd/system /var/lib; getent passwd"
    assert "devpi" not in bare.host.sh(there)


def test_a_password_in_the_address_of_an_index_is_refused(bare: Server) -> None:
    done = bare.play(devpi_index=f"http://ada:sesame@{CONTROLLER}:8081/simple")
    said = " ".join(done.stdout.split())
    assert done.returncode == 2 and "changed=0" in said, said
    assert "devpi_index has a user or a password in its address" in said


def test_a_second_run_changes_nothing(server: Server) -> None:
    assert changed(server.play("--check")) == 0
    assert changed(server.play()) == 0


def test_the_tool_promotes_a_wheel_to_production(server: Server, promoted: Wheel) -> None:
    assert server.has(promoted)


def test_no_level_lets_go_of_what_it_has(server: Server, promoted: Wheel) -> None:
    other = wheel(server.work / "others", "1.0", extra="x = 2\n")
    assert other.sha256 != promoted.sha256
    for level in LEVELS:
        assert server.told(f"team/{level}")["volatile"] is False
        done = server.tool("upload", other, level)
        assert done.returncode and " 409 " in done.stderr, done.stdout + done.stderr
    assert server.has(promoted)


def test_uploaders_upload_and_nobody_else_does(server: Server) -> None:
    bot: dict[str, object] = {"name": "bot", "password": "horse-battery-bot", "indices": []}
    team: dict[str, object] = {"name": "team", "password": PASSWORDS["team"], "indices": LEVELS}
    made, who = wheel(server.work / "wheels", "1.2"), {"DELIVERY_INDEX_USER": "bot"}
    assert changed(server.play(devpi_users=[bot, {**team, "uploaders": ["bot"]}])) == 1
    for level in LEVELS:
        told = server.told(f"team/{level}")
        assert told["acl_upload"] == told["acl_toxresult_upload"] == ["bot"]
    done = server.tool("publish", made)
    assert done.returncode and " 403 " in done.stderr, done.stderr
    done = server.tool("publish", made, password="horse-battery-bot", **who)
    assert done.stdout == "True\n", done.stderr
    assert changed(server.play()) == 1
    assert server.told("team/dev")["acl_upload"] == ["team"]


def test_nobody_uploads_without_the_password(server: Server) -> None:
    made = wheel(server.work / "wheels", "1.1")
    done = server.tool("publish", made, password="wrong")
    assert done.returncode and " 401 " in done.stderr, done.stderr
    done = server.inside([sys.executable, "-c", NOBODY, f"https://{DOMAIN}", made.path])
    said = re.fullmatch(r"POST /team/dev/ 40[13]\nPUT /eve 40[13]\n", done.stdout)
    assert said, done.stdout + done.stderr
    assert server.tool("fetch", made, "dev").returncode


def test_the_passwords_are_in_no_output(server: Server, promoted: Wheel) -> None:
    assert promoted
    server.variables["devpi_root_password"] = "horse-battery-other"
    ci = {"name": "ci", "password": "horse-battery-ci"}
    done = server.play("-vvv", "--diff", devpi_users=[ci])
    assert changed(done) == 1
    assert "password of root" in done.stdout and "user ci" in done.stdout
    assert "horse-battery" not in done.stdout + done.stderr
    seen = server.host.sh("ps -efww; systemctl show --all 'devpi*'; journalctl --no-pager")
    assert "devpi" in seen and "horse-battery" not in seen
    assert server.host.sh("grep -r horse-battery /opt /etc /var/lib || true") == ""


def test_a_mirror_is_behind_production(server: Server) -> None:
    code = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read())"
    page = f"https://{DOMAIN}/team/production/+simple/devpi-server/"
    done = server.inside([sys.executable, "-c", code, page])
    assert "devpi_server-6.19.0-py3-none-any.whl" in done.stdout, done.stderr


@pytest.mark.parametrize("unit", ["devpi", "devpi-front", "devpi-backup"])
def test_a_unit_has_walls(server: Server, unit: str) -> None:
    analyze = f"systemd-analyze security --no-pager {unit}.service"
    said = server.host.sh(analyze).splitlines()[-1]
    exposure = re.search(r"([0-9.]+) (OK|SAFE)", said)
    assert exposure and float(exposure[1]) <= 1.5, said
    assert server.host.sh("ss -tlnH | grep -v ':22 '").split()[3].endswith(":443")


def test_it_is_back_after_a_boot(server: Server, promoted: Wheel) -> None:
    server.host.halt()
    server.host.boot()
    assert server.has(promoted)


def test_another_port_is_taken_over(server: Server, promoted: Wheel) -> None:
    for port in (8443, 443):
        server.variables["devpi_port"] = port
        assert changed(server.play()) > 0
        listening = server.host.sh("ss -tlnH | grep -v ':22 '").split()
        assert [word for word in listening if ":" in word] == [f"0.0.0.0:{port}", "0.0.0.0:*"]
        assert server.has(promoted)


def test_an_upgrade_that_fails_leaves_the_old_server(server: Server, promoted: Wheel) -> None:
    live = server.host.sh("readlink /opt/devpi/live")
    # The export finds a file missing.
    find = f"find /var/lib/devpi/states -name '{NAME.replace('-', '_')}*.whl'"
    lost = server.host.sh(find).splitlines()[0]
    server.host.sh(f"mv {lost} /root/lost")
    done = server.play(devpi_requirements=NEW)
    server.host.sh(f"mv /root/lost {lost}")
    assert done.returncode and "The server is as it was." in done.stdout, done.stdout
    assert server.host.sh("readlink /opt/devpi/live") == live
    assert server.has(promoted)


def test_an_upgrade_keeps_every_file(server: Server, promoted: Wheel) -> None:
    was = server.host.sh("/opt/devpi/live/venv/bin/devpi-server --version")
    del server.variables["devpi_requirements"]
    server.variables["devpi_backups_kept"] = 2
    assert changed(server.play()) > 0
    now = server.host.sh("/opt/devpi/live/venv/bin/devpi-server --version")
    assert was == "6.19.0"
    assert f"devpi-server=={now} " in (ROOT / "requirements/devpi.txt").read_text()
    assert server.has(promoted)
    assert len(server.host.sh("ls /var/lib/devpi/states /opt/devpi/venvs").split()) == 4


def test_old_backups_make_way(server: Server) -> None:
    for _ in range(3):
        server.host.sh("systemctl start devpi-backup; sleep 1")
    assert len(server.host.sh("ls /var/lib/devpi/backups").split()) == 2
    assert server.host.sh("systemctl is-active devpi-backup.timer") == "active"


def test_a_lost_host_is_restored_with_a_given_certificate(server: Server, promoted: Wheel) -> None:
    name = server.host.sh("systemctl start devpi-backup; ls /var/lib/devpi/backups").split()[-1]
    shutil.copytree(server.host.disk / f"var/lib/devpi/backups/{name}", server.work / name)
    server.gone()
    restore = f"/var/backups/{name}"
    done = server.play(devpi_restore=restore)
    assert done.returncode and f"{restore} on the host is no whole export" in done.stdout
    shutil.copytree(server.work / name, server.host.disk / restore[1:])
    server.authority, given = certified(server.work)
    server.variables |= given
    del server.variables["devpi_mirror"]
    done = server.play("-vvv", "--diff", devpi_restore=restore)
    assert changed(done) > 0
    assert str(given["devpi_certificate_key"]).splitlines()[1] not in done.stdout + done.stderr
    assert server.has(promoted)
    done = server.play(devpi_restore="/var/backups/other")
    assert done.returncode and "There is a server on this host already" in done.stdout


def test_another_certificate_is_taken_over(server: Server, promoted: Wheel) -> None:
    folder = server.work / "renewed"
    folder.mkdir()
    assert server.has(promoted)
    renewed, given = certified(folder)
    server.variables |= given
    assert changed(server.play()) > 0
    # Who trusts the one before alone does not trust this one.
    done = server.tool("fetch", promoted, "dev")
    assert done.returncode and "CERTIFICATE_VERIFY_FAILED" in done.stderr, done.stderr
    server.authority = renewed
    assert server.has(promoted)
    assert changed(server.play()) == 0
