"""Secrets on a host: who may read them, while a deploy runs and after it."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.delivery.role.wheels import NAME, REQUIREMENTS

from .conftest import TOOLS, Service
from .host import CONTROLLER
from .index import fill
from .lab import Lab
from .watch import watched

pytestmark = pytest.mark.hosts

ROOT = f"/opt/{NAME}"
SECRET = "correct-horse-battery"
PASSWORD = "sesame-open"
# An index that answers nobody but Ada.
SERVE = """
import functools, http.server, sys
folder, address, port, login = sys.argv[1:]
class Guarded(http.server.SimpleHTTPRequestHandler):
    def send_head(self):
        if self.headers["Authorization"] == "Basic " + login:
            return super().send_head()
        self.send_error(401)
pages = functools.partial(Guarded, directory=folder)
http.server.ThreadingHTTPServer((address, int(port)), pages).serve_forever()
"""


def listed(word: str) -> Callable[[], Iterator[str]]:
    """Return a look for the processes, here and on the hosts, that have a word in the list."""

    def look() -> Iterator[str]:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if word in words:
                    yield words

    return look


@pytest.fixture
def vault(one: Service, tmp_path: Path) -> Iterator[str]:
    """An encrypted file beside the inventory that has a secret; what Ansible opens it with."""
    password, file = tmp_path / "password", one.work / "group_vars/service/vault.yml"
    password.write_text("the word for the vault\n")
    file.parent.mkdir(parents=True)
    file.write_text(f"vaulted_word: {SECRET}\n")
    opened = f"--vault-password-file={password}"
    tool = Path(sys.executable).with_name("ansible-vault")
    subprocess.run([tool, "encrypt", opened, file], check=True, capture_output=True)
    assert file.read_text().startswith("$ANSIBLE_VAULT;")
    yield opened
    shutil.rmtree(one.work / "group_vars")


def test_a_secret_is_in_no_output_and_in_no_list_of_processes(one: Service, vault: str) -> None:
    host = one.hosts[0]
    given = {"TINY_WORD": "{{ vaulted_word }}", "TINY_SECRET": "{{ vaulted_word }}"}
    with watched(listed(SECRET), 0.01) as seen:
        what = one.wheel("4.1")
        run = one.deploy(what, "-vvvv", "--diff", vault, service_environment=given)["h1"]
    assert seen == set()
    assert run.ok, run.output
    assert one.get(host, "/")["word"] == SECRET
    assert SECRET not in run.output
    assert SECRET not in host.sh("systemctl show --all '*'; journalctl --no-pager")
    found = f"grep --recursive --files-with-matches {SECRET} /etc /opt /run /var | xargs stat"
    held = host.sh(f"{found} --format='%a %U %n'").splitlines()
    # Its description, and what systemd gives of that to this one process.
    kept = [f"600 root {ROOT}/instances/", f"400 {NAME} /run/credentials/{NAME}@"]
    assert [line for line in held if not line.startswith(tuple(kept))] == []
    assert any(line.startswith(kept[0]) for line in held)
    bad = one.wheel("4.2", "says its secret")
    run = one.deploy(bad, vault, service_environment=given)["h1"]
    assert not run.ok and "the secret is ***" in run.output
    assert SECRET not in run.output


@pytest.fixture
def guarded(lab: Lab, tmp_path: Path) -> Iterator[str]:
    """An index that asks for a password; its address."""
    folder = tmp_path / "guarded"
    fill(folder, [REQUIREMENTS, *TOOLS])
    login = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    serve = [sys.executable, "-c", SERVE, str(folder), CONTROLLER, "8082", login]
    null = subprocess.DEVNULL
    server = lab.start(serve, stdout=null, stderr=null)
    yield f"{CONTROLLER}:8082/simple"
    server.terminate()
    server.wait()


def test_a_password_of_the_index_is_in_no_list_of_processes(bare: Service, guarded: str) -> None:
    """The host has neither tools nor a release yet: it is asked for by pip, and by uv."""
    (host,), what = bare.hosts, bare.wheel("4.3")
    with watched(listed(PASSWORD), 0.01) as seen:
        bare.variables = {"service_index": f"http://ada:{PASSWORD}@{guarded}"}
        refused = bare.deploy(what, "-vvv")["h5"]
        bare.variables = {"service_index": f"http://{guarded}"}
        login = f"machine {CONTROLLER} login ada password {PASSWORD}"
        (host.disk / "root/.netrc").write_text(f"{login}\n")
        run = bare.deploy(what, "-vvv")["h5"]
    (host.disk / "root/.netrc").unlink()
    assert seen == set()
    assert not refused.ok and "put them into /root/.netrc there" in refused.host["reason"]
    assert run.ok, run.output
    assert bare.live() == ["4.3"]
    assert PASSWORD not in refused.output + run.output
