"""The Debian package: what it says, and what it does on a host with systemd."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from string import ascii_letters
from typing import Any

import pytest
from delivery.forms.deb import debian
from packaging.version import Version

from tests.forms.conftest import NEEDED, Boxed, Published, Told, archive
from tests.hosts.base import base
from tests.hosts.conftest import CACHE
from tests.hosts.host import Host
from tests.hosts.lab import Lab

pytestmark = pytest.mark.hosts
Packages = list[tuple[Path, Told]]
# A question would find nobody to answer it.
APT = "DEBIAN_FRONTEND=readline apt-get --yes --quiet=2 {} </dev/null 2>&1"
# What dpkg, apt and systemd keep of everything that was ever there.
KEPT = (
    "/var/log/",
    "/var/cache/",
    "/var/lib/dpkg/",
    "/var/lib/apt/",
    "/var/lib/systemd/",
    "/root/",
)
# Of PEP 440, oldest first.
ORDER = """
    1.2.0.dev3+gabc1234 1.2.0a1.dev2 1.2.0a1 1.2.0a2 1.2.0b1 1.2.0rc1.dev4+g1234abc 1.2.0rc1
    1.2.0rc1.post1.dev1+g1 1.2.0rc1.post1 1.2.0rc2 1.2.0 1.2.0+g7654321 1.2.0.post1.dev3+gabc1234
    1.2.0.post1.dev10+g0000000 1.2.0.post1 1.2.0.post1+g1 1.2.1.dev1 1.2.1 1.10.0 1!0.1.0
    """.split()


@pytest.fixture(scope="module")
def packages(boxed: Boxed) -> Packages:
    """Packages of both versions, with what ``/version`` has to say: the last as people make it."""
    made, (first, last) = boxed
    made.python("delivery.forms.deb", first["version"], "-Znone")
    made.python("tox", "run", "--quiet", "-e", "deb", "--", "-Znone")
    names = {told["version"]: f"_{debian(told['version'])}_" for told in (first, last)}
    build = made.root / "build"
    assert len([*build.iterdir()]) == 2
    return [(next(build.glob(f"*{names[t['version']]}*.deb")), t) for t in (first, last)]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A host that has nothing but Debian, and an archive on its own disk."""
    with Lab(base(CACHE), 1) as lab:
        disk = lab["h1"].disk
        archive(disk / "srv/apt")
        for source in (disk / "etc/apt").glob("sources.list*/*"):
            source.unlink()
        (disk / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/apt ./\n")
        apt(lab["h1"], "update")
        yield lab["h1"]


def apt(host: Host, *words: str, status: int = 0) -> str:
    """Run apt-get on a host; return what it says."""
    told = host.sh(f"{APT.format(' '.join(words))}; echo \"status $?\"", check=False)
    assert told.endswith(f"status {status}"), told
    return told


def install(host: Host, package: Path, status: int = 0) -> str:
    """Install a package file on a host."""
    shutil.copy(package, host.disk / "root")
    return apt(host, "install", f"/root/{package.name}", status=status)


def ask(host: Host, address: str = "127.0.0.1:8000", path: str = "/version") -> Any:
    """Return what the service says on a host."""
    code = f"import urllib.request as u; print(u.urlopen('http://{address}{path}').read().decode())"
    return json.loads(host.sh(f'python3 -c "{code}"'))


def files(host: Host) -> set[str]:
    """Return every file and folder on a host."""
    return {name for name in host.sh("find / -xdev").split("\n") if not name.startswith(KEPT)}


def test_its_versions_sort_as_pep_440_sorts_them() -> None:
    assert ORDER == sorted(ORDER, key=Version)
    for older, newer in zip(ORDER, ORDER[1:], strict=False):
        compare = ["dpkg", "--compare-versions", debian(older), "lt", debian(newer)]
        assert subprocess.run(compare, check=False).returncode == 0, (older, newer)


def test_it_says_what_it_is(packages: Packages) -> None:
    for package, told in packages:
        fields = ["Package", "Version", "Depends", "Description"]
        form = "".join(f"${{{name}}}\\n" for name in fields)
        show = ["dpkg-deb", f"--showformat={form}", "--show", str(package)]
        said = subprocess.run(show, check=True, capture_output=True, text=True).stdout.splitlines()
        assert said[:2] == ["boxed-parcel", debian(told["version"])]
        assert re.fullmatch(rf"python3 \(>= 3\.\d+\), python3 \(<< 3\.\d+\), {NEEDED}", said[2])
        assert said[3].endswith("delivers itself.")


def test_made_again_it_is_the_same_to_the_byte(boxed: Boxed, packages: Packages) -> None:
    package, told = packages[0]
    before = package.read_bytes()
    again = f"umask 077; exec python -m delivery.forms.deb {told['version']} -Znone"
    boxed[0].run("sh", "-c", again)
    assert package.read_bytes() == before


def test_it_installs_without_a_question_and_its_purge_leaves_nothing(
    host: Host, packages: Packages
) -> None:
    before = files(host)
    (package, told), _ = packages
    install(host, package)
    assert ask(host) == told
    assert "install ok installed" in host.sh(f"dpkg-query --status {NEEDED}")
    assert json.loads(host.sh("cat /opt/boxed-parcel/release.json"))["system"] == [NEEDED]
    assert host.sh("systemctl is-enabled boxed-parcel") == "enabled"
    host.sh("echo BOXED_PARCEL_GREETING=Hi >/etc/default/boxed-parcel")
    host.sh("touch /var/lib/boxed-parcel/kept")
    apt(host, "purge", "boxed-parcel", NEEDED)
    # dpkg takes an empty /opt along, as no package of Debian's own claims it.
    assert files(host) | {"/opt"} == before
    assert "boxed-parcel" not in host.sh("systemctl list-units --all --plain")


def test_an_upgrade_keeps_settings_and_data(host: Host, packages: Packages) -> None:
    (first, _), (last, told) = packages
    host.sh("echo BIND=0.0.0.0:8080 >/etc/default/boxed-parcel")
    install(host, first)
    host.sh("touch /var/lib/boxed-parcel/kept")
    install(host, last)
    assert ask(host, "127.0.0.1:8080") == told
    assert host.sh("ls /var/lib/boxed-parcel") == "kept"
    apt(host, "purge", "boxed-parcel")


def test_who_disables_it_has_it_disabled_after_an_upgrade(host: Host, packages: Packages) -> None:
    (first, _), (last, _) = packages
    install(host, first)
    host.sh("systemctl disable --quiet --now boxed-parcel")
    install(host, last)
    assert host.sh("systemctl is-enabled boxed-parcel", check=False) == "disabled"
    assert host.sh("systemctl is-active boxed-parcel", check=False) == "inactive"
    apt(host, "purge", "boxed-parcel")


def test_apt_tells_that_it_does_not_come_up(host: Host, packages: Packages) -> None:
    (package, told), _ = packages
    host.sh("echo BIND=192.0.2.1:8000 >/etc/default/boxed-parcel")
    assert "boxed-parcel" in install(host, package, status=100)
    host.sh("rm /etc/default/boxed-parcel; dpkg --configure --pending")
    assert ask(host) == told
    apt(host, "purge", "boxed-parcel")


def test_a_service_with_a_database_migrates_before_it_starts(
    host: Host, project: Callable[..., Published]
) -> None:
    made = project("moved-parcel", framework="django", forms=["deb"])
    told = made.publish(tag="1.0")
    made.python("delivery.forms.deb", "-Znone")
    # Django is not content with a short one, or with few letters.
    host.sh(f"echo MOVED_PARCEL_SECRET_KEY={ascii_letters} >/etc/default/moved-parcel")
    install(host, next((made.root / "build").iterdir()))
    assert ask(host) == told
    host.sh("test -s /var/lib/moved-parcel/db.sqlite3")
    apt(host, "purge", "moved-parcel")
