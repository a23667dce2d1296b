"""A devpi on a host: its playbook, and what the tool, or somebody, does there over the network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT
from tests.delivery.role.wheels import NAME, Wheel

from .host import CONTROLLER, Host
from .lab import Lab

DEVPI = ROOT / "devpi"
DOMAIN = "index.example"
PASSWORDS = {"root": "horse-battery-root", "team": "horse-battery-team"}
LEVELS = ["dev", "acceptance", "production"]
AUTHORITY = "var/lib/private/devpi-front/pki/authorities/local/root.crt"
# As a project's own stages do it: the first word says what, the others where and which.
TOOL = """
import hashlib, sys
from pathlib import Path
from delivery import tools
from delivery.artifact.devpi import Devpi
from delivery.artifact.wheel import describe

tools.uv = lambda _: str(Path(sys.executable).with_name("uv"))
what, address, name, file = sys.argv[1:5]
index, path = Devpi.parse(address, Path.cwd()), Path(file)
made = describe(path, "")
if what == "publish":
    print(index.publish(name, path))
for level in sys.argv[5:]:
    if what == "upload":
        index.at(level).site.upload(f"{index.at(level)}/", path, index.at(level))
    if what == "promote":
        print(index.push(name, made, index.at(level)))
        index = index.at(level)
    if what == "fetch":
        print(hashlib.sha256(index.at(level).fetch(name, made).read_bytes()).hexdigest())
"""
# Somebody without a name uploads a wheel, and makes a user.
NOBODY = """
import json, sys, urllib.error, urllib.request
from pathlib import Path

path = Path(sys.argv[2])
form = {":action": "file_upload", "name": path.name.split("-")[0], "version": "1.1"}
part = '--x\\r\\nContent-Disposition: form-data; name="%s"%s\\r\\n\\r\\n'
body = "".join(part % (key, "") + value + "\\r\\n" for key, value in form.items()).encode()
body += (part % ("content", f'; filename="{path.name}"')).encode() + path.read_bytes()
wanted = [("POST", "/team/dev/", "multipart/form-data; boundary=x", body + b"\\r\\n--x--\\r\\n")]
wanted += [("PUT", "/eve", "application/json", json.dumps({"password": "eve"}).encode())]
for method, where, kind, body in wanted:
    headers = {"Content-Type": kind}
    request = urllib.request.Request(sys.argv[1] + where, body, headers, method=method)
    try:
        status = urllib.request.urlopen(request, timeout=20).status
    except urllib.error.HTTPError as error:
        status = error.code
    print(method, where, status)
"""


@dataclass
class Server:
    """A devpi on a host, or what shall become one."""

    lab: Lab
    host: Host
    work: Path
    authority: Path | None = None
    variables: dict[str, object] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its address."""
        port = self.variables.get("devpi_port", 443)
        return f"https://{DOMAIN}{'' if port == 443 else f':{port}'}"

    def play(self, *options: str, **variables: object) -> subprocess.CompletedProcess[str]:
        """Run the playbook."""
        users = [{"name": "team", "password": PASSWORDS["team"], "indices": LEVELS}]
        told: dict[str, object] = {
            **self.lab.variables,
            "ansible_host": self.host.address,
            "devpi_domain": DOMAIN,
            "devpi_root_password": PASSWORDS["root"],
            "devpi_users": users,
            "devpi_index": f"http://{CONTROLLER}:8081/simple",
            **self.variables,
            **variables,
        }
        inventory = self.work / "hosts.json"
        inventory.write_text(json.dumps({"devpi": {"hosts": {self.host.name: told}}}))
        ansible = Path(sys.executable).with_name("ansible-playbook")
        environment = {
            "ANSIBLE_CONFIG": str(DEVPI / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(self.work / "ansible"),
        }
        words = ["-i", str(inventory), str(DEVPI / "server.yml"), *options]
        return self.lab.run([ansible, *words], environment, capture_output=True, timeout=600)

    def inside(
        self, command: list[str | Path], password: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that finds the server by its name, and trusts its authority alone."""
        trusted = self.authority or self.host.disk / AUTHORITY
        names = self.work / "names"
        names.write_text(f"127.0.0.1 localhost\n{self.host.address} {DOMAIN}\n")
        script = f'mount --bind {names} /etc/hosts && exec "$@"'
        environment = {
            "DELIVERY_INDEX_PASSWORD": password,
            "HOME": str(self.work),
            "PYTHONPATH": str(ROOT / "template"),
            "SSL_CERT_FILE": str(trusted),
            **more,
        }
        words = ["unshare", "--mount", "sh", "-c", script, "sh", *command]
        return self.lab.run(words, environment, cwd=self.work, capture_output=True)

    def tool(
        self, what: str, made: Wheel, *levels: str, password: str = PASSWORDS["team"], **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Do with a wheel what a project's stages do, or only upload it."""
        command = [sys.executable, "-c", TOOL, what, f"devpi+{self.url}/team", NAME]
        return self.inside([*command, made.path, *levels], password, **more)

    def told(self, path: str) -> dict[str, object]:
        """Return what the server tells of one of its indices."""
        code = (
            "import sys, urllib.request as u\n"
            "asked = u.Request(sys.argv[1], headers={'Accept': 'application/json'})\n"
            "print(u.urlopen(asked, timeout=20).read().decode())"
        )
        done = self.inside([sys.executable, "-c", code, f"{self.url}/{path}"])
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout)["result"]
        return found

    def has(self, made: Wheel) -> bool:
        """Tell whether every level serves the bytes of a wheel."""
        done = self.tool("fetch", made, *LEVELS)
        assert done.returncode == 0, done.stderr
        return done.stdout.split() == [made.sha256] * len(LEVELS)

    def gone(self) -> None:
        """Take everything of it off the host, as a lost disk would."""
        units = "devpi.service devpi-front.socket devpi-front.service devpi-backup.timer"
        self.host.sh(
            f"systemctl disable --quiet --now {units}; systemctl clean devpi-front.service;"
            "rm -rf /opt/devpi /var/lib/devpi /etc/systemd/system/devpi*; userdel devpi;"
            "systemctl daemon-reload"
        )


def certified(folder: Path) -> tuple[Path, dict[str, object]]:
    """Return a certificate that vouches for itself, and the variables that give it."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    command += f" -subj /CN=devpi -addext subjectAltName=DNS:{DOMAIN} -keyout own.key -out own.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    given: dict[str, object] = {
        "devpi_tls": "given",
        "devpi_certificate": (folder / "own.pem").read_text(),
        "devpi_certificate_key": (folder / "own.key").read_text(),
    }
    return folder / "own.pem", given


def changed(done: subprocess.CompletedProcess[str]) -> int:
    """Return how many tasks of a run that went well have changed something."""
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"changed=(\d+)", done.stdout)
    assert found
    return int(found[1])
