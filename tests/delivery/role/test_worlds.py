"""A release takes nothing from the system's world but what has a name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from service_host import layout, worlds
from service_host.errors import Refused

from .conftest import Site
from .wheels import wheel

NEEDS, NOWHERE = b"libselinux.so.1", b"libnowhere.so.1"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Return a virtual environment, as a release is one."""
    place = tmp_path / "release"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    return place


def packages_of(release: Path) -> Path:
    """Return where a release has its modules."""
    (place,) = release.glob("lib/python*/site-packages")
    return place


def needy(release: Path) -> Path:
    """Give a release a module that needs a library that is nowhere."""
    module = packages_of(release) / "module.so"
    content = Path("/bin/ls").read_bytes()
    assert NEEDS in content and len(NEEDS) == len(NOWHERE)
    module.write_bytes(content.replace(NEEDS, NOWHERE))
    return module


def test_a_world_of_its_own_is_good(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # whoever deploys may have one
    shutil.copy("/bin/ls", packages_of(release) / "module.so")
    worlds.check(release)


def test_a_path_out_of_the_release_is_named(release: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (packages_of(release) / "editable.pth").write_text(f"{tmp_path}/elsewhere\n")
    with pytest.raises(Refused, match=f"would import from {tmp_path}/elsewhere, too"):
        worlds.check(release)


def test_the_systems_packages_are_refused(release: Path) -> None:
    settings = release / "pyvenv.cfg"
    settings.write_text(
        settings.read_text().replace("site-packages = false", "site-packages = true")
    )
    with pytest.raises(Refused, match="would import from the system's site-packages"):
        worlds.check(release)


def test_a_library_that_nobody_named_is_told_with_who_needs_it(release: Path) -> None:
    module = needy(release).relative_to(release)
    with pytest.raises(Refused) as refused:
        worlds.check(release)
    assert str(refused.value).startswith(
        f"{module} needs libnowhere.so.1, which this host does not"
    )
    assert "name the package that has it in delivery.toml" in str(refused.value)


def test_a_library_that_comes_with_the_release_is_no_system_library(release: Path) -> None:
    needy(release).with_name("libnowhere.so.1").touch()
    worlds.check(release)


def test_a_package_is_told_with_its_version() -> None:
    (told,) = worlds.packages(["dpkg"])
    assert told.split()[0] == "dpkg" and told.split()[1][0].isdigit()


def test_packages_that_are_missing_are_told_with_how_to_get_them() -> None:
    with pytest.raises(Refused, match=r"needs libnowhere1, libnowhere2 .*apt-get install libnowh"):
        worlds.packages(["dpkg", "libnowhere1", "libnowhere2"])


def test_a_release_that_would_import_from_elsewhere_is_not_deployed(
    live: Site, tmp_path: Path
) -> None:
    made = wheel(live.work / "wheels", "1.1", paths=f"{tmp_path}\n")
    told = live.told("live", made)
    assert f"would import from {tmp_path}, too" in told["msg"]
    assert live.live() == "1.0" and live.installed() == {"1.0"}


@pytest.mark.parametrize("name", worlds.LEAKS)
def test_an_environment_that_lets_others_in_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"service_environment: {name} would let the release load"):
        layout.checked_environment({name: "/usr/lib"})


def test_what_launches_an_instance_knows_the_same_leaks() -> None:
    source = (Path(worlds.__file__).parents[2] / "files/launch.py").read_text()
    assert f"leaks = {worlds.LEAKS}".replace("'", '"') in source


def test_an_instance_has_nothing_of_who_started_it_and_its_packages_are_recorded(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = site.told("live", site.wheel("1.0"), packages=["dpkg", "libnowhere1"])
    assert "libnowhere1" in told["msg"] and site.installed() == set()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told = site.told("live", site.wheel("1.0"), packages=["dpkg"])
    assert told["system"] == worlds.packages(["dpkg"]), told
    assert not site.told("live", site.wheel("1.0"), packages=["dpkg"])["changed"]
    home = f"{site.root}/releases/"
    first, *_ = [p for p in site.processes() if p.arguments[0].startswith(home)]
    environment = Path(f"/proc/{first.pid}/environ").read_bytes()
    assert b"PYTHONPATH" not in environment and os.fsencode(tmp_path) not in environment
