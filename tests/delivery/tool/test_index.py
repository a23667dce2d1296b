"""The index: whole or not at all, the same bytes for ever, and readable by pip and uv."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from delivery.artifact import folder as folders
from delivery.artifact.folder import Folder
from delivery.artifact.index import Index, at
from delivery.artifact.wheel import Artifact, describe, digest
from delivery.errors import DeliveryError, Refused


def wheel(
    folder: Path,
    version: str = "1.0+g123",
    body: str = "x = 1\n",
    name: str = "hello_delivery",
    needs: str = "",
) -> Path:
    """Make a small, valid wheel; it may need another one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", body)
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
            f"Requires-Python: >=3.11\n{f'Requires-Dist: {needs}' if needs else ''}\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD",
            f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        )
    return path


@pytest.fixture()
def place(tmp_path: Path) -> Path:
    """Return where an index is to be; the name needs quoting."""
    return tmp_path / "an index"


@pytest.fixture()
def index(place: Path) -> Index:
    """Return the index that is to be there."""
    return at(str(place), place.parent)


def test_publishing_again_changes_nothing(index: Index, place: Path, tmp_path: Path) -> None:
    made = wheel(tmp_path)
    assert index.publish("Hello_Delivery", made)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*.*")}
    assert not index.publish("Hello_Delivery", made)
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*.*")} == before


def test_other_bytes_under_the_same_version_are_refused(
    index: Index, place: Path, tmp_path: Path
) -> None:
    first = wheel(tmp_path / "a")
    index.publish("hello-delivery", first)
    with pytest.raises(Refused, match="already has hello_delivery-1.0.*with other bytes"):
        index.publish("hello-delivery", wheel(tmp_path / "b", body="x = 2\n"))
    assert (place / "hello-delivery" / first.name).read_bytes() == first.read_bytes()


def test_the_papers_are_there_before_the_wheel_and_no_installer_sees_them(
    index: Index, place: Path, tmp_path: Path
) -> None:
    made, paper = wheel(tmp_path), tmp_path / "hello.whl.0123.cdx.json"
    paper.write_text("{}\n")
    with pytest.raises(DeliveryError, match="cannot be written"):
        index.publish("hello-delivery", made, [tmp_path / "not there"])
    assert not list(place.rglob("*.whl"))
    assert index.publish("hello-delivery", made, [paper])
    assert (index.paper("hello-delivery", paper.name) or made).read_text() == "{}\n"
    assert index.paper("hello-delivery", "another") is None
    assert "cdx" not in (place / "hello-delivery" / "index.html").read_text()


def test_many_at_once_are_all_listed(index: Index, place: Path, tmp_path: Path) -> None:
    made = [wheel(tmp_path, f"1.{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda path: index.publish("hello-delivery", path), made))
    page = (place / "hello-delivery" / "index.html").read_text()
    assert all(path.name in page for path in made)
    assert not list(place.rglob("*.part"))


def test_what_a_page_tells_of_a_wheel_stays_and_the_others_are_not_read(
    index: Index, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [wheel(tmp_path, f"1.{number}") for number in (0, 2, 1)]
    for path in made[:2]:
        index.publish("hello-delivery", path)
    page, read = place / "hello-delivery" / "index.html", []

    def link(path: Path) -> str:
        read.append(path.name)
        return listed(path)

    listed = folders._link
    monkeypatch.setattr(folders, "_link", link)
    index.publish("hello-delivery", made[2])
    assert read == [made[2].name]
    lines = page.read_text().splitlines()[3:-1]
    assert [line.partition('"')[2].partition("#")[0] for line in lines] == [
        f"hello_delivery-1.{number}-py3-none-any.whl" for number in range(3)
    ]
    assert all(f"#sha256={digest(path)}" in page.read_text() for path in made)


@pytest.mark.parametrize("keep", [0, 40, 200, 300, 10_000])
def test_a_page_that_is_torn_or_lost_is_made_anew(
    index: Index, place: Path, tmp_path: Path, keep: int
) -> None:
    made = [wheel(tmp_path, f"1.{number}") for number in range(3)]
    for path in made[:2]:
        index.publish("hello-delivery", path)
    page = place / "hello-delivery" / "index.html"
    whole = page.read_text()
    page.write_text(whole[:keep] if keep < len(whole) else f"{whole}\nmore")
    if not keep:
        page.unlink()
    index.publish("hello-delivery", made[2])
    text = page.read_text()
    assert text.startswith(whole.removesuffix("</body></html>\n")) and text.endswith("</html>\n")
    assert all(text.count(f"{path.name}#sha256={digest(path)}") == 1 for path in made)


def test_a_wheel_that_somebody_took_away_is_listed_by_what_came_after(
    index: Index, place: Path, tmp_path: Path
) -> None:
    first, second = wheel(tmp_path / "a"), wheel(tmp_path / "b", body="x = 2\n")
    index.publish("hello-delivery", first)
    (place / "hello-delivery" / first.name).unlink()
    index.publish("hello-delivery", second)
    text = (place / "hello-delivery" / "index.html").read_text()
    assert digest(second) in text and digest(first) not in text


def test_a_full_or_closed_index_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeliveryError, match="cannot be written"):
        Folder(tmp_path / "file" / "index").publish("hello-delivery", wheel(tmp_path))


@pytest.fixture()
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.root
def test_on_a_full_disk_nothing_is_half_there_and_a_retry_completes(
    disk: Path, tmp_path: Path
) -> None:
    index, first = Folder(disk / "index"), wheel(tmp_path, "1.0")
    made, paper = wheel(tmp_path, "2.0", "x" * 100_000), tmp_path / "hello.whl.0123.cdx.json"
    paper.write_text("{}\n")
    index.publish("hello-delivery", first)
    folder, ballast = index.path / "hello-delivery", disk / "ballast"
    before = (folder / "index.html").read_bytes()
    with pytest.raises(OSError, match="No space"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(ballast, ballast.stat().st_size - 65536)  # for some of it there is room
    with pytest.raises(DeliveryError, match="cannot be written: .*No space left"):
        index.publish("hello-delivery", made, [paper])
    assert not list(folder.glob(".*")) and (folder / "index.html").read_bytes() == before
    assert index.wheels("hello-delivery") == {first.name}
    # What a killed one leaves is in nobody's way.
    (folder / ".killed.part").write_bytes(made.read_bytes()[:100])
    ballast.unlink()
    assert index.publish("hello-delivery", made, [paper])
    assert index.fetch("hello-delivery", describe(made, "c" * 40)).is_file()
    assert (folder / "index.html").read_text().count("#sha256=") == 2


def test_fetch_returns_only_the_very_bytes(index: Index, place: Path, tmp_path: Path) -> None:
    made = wheel(tmp_path)
    artifact = describe(made, "c" * 40)
    index.publish("hello-delivery", made)
    found = index.fetch("hello-delivery", artifact)
    assert found.read_bytes() == made.read_bytes()
    found.write_bytes(b"tampered")
    with pytest.raises(Refused, match="is not the artifact"):
        index.fetch("hello-delivery", artifact)


def test_fetch_of_what_is_not_there_says_what_to_do(index: Index) -> None:
    with pytest.raises(DeliveryError, match="does not have x.whl: python3 -m delivery run publish"):
        index.fetch("hello-delivery", Artifact("x.whl", "1", "a" * 64, "c" * 40))


INSTALLERS = {
    "pip": [
        sys.executable,
        "-m",
        "pip",
        "--isolated",
        "install",
        "--no-deps",
        "--index-url",
        "{index}",
        "--target",
        "{to}",
    ],
    "uv": [
        "uv",
        "pip",
        "install",
        "--no-config",
        "--no-deps",
        "--default-index",
        "{index}",
        "--target",
        "{to}",
    ],
}


@pytest.mark.parametrize("installer", INSTALLERS)
def test_both_installers_install_from_it_by_digest(
    index: Index, tmp_path: Path, installer: str
) -> None:
    made = wheel(tmp_path)
    index.publish("hello-delivery", made)
    artifact = describe(made, "c" * 40)
    wanted = tmp_path / "wanted.txt"
    wanted.write_text(f"hello-delivery=={artifact.version} --hash=sha256:{artifact.sha256}\n")
    told = {"index": index.url, "to": str(tmp_path / "to")}
    command = [part.format(**told) for part in INSTALLERS[installer]]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))
    }
    environment["UV_CACHE_DIR"] = str(tmp_path / "cache")
    subprocess.run([*command, "--require-hashes", "-r", str(wanted)], check=True, env=environment)
    assert (tmp_path / "to" / "hello_delivery.py").read_text() == "x = 1\n"
