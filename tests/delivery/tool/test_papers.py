"""What travels with an artifact: what it is made of, where it comes from, and that it is true."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from delivery.artifact import papers, sbom
from delivery.artifact.wheel import describe, digest
from delivery.errors import DeliveryError
from delivery.project import Project

from .conftest import TEMPLATE, Toy
from .test_index import wheel

LOCK = """\
# what a release installs
flask==3.1.3 \\
    --hash=sha256:{a} \\
    --hash=sha256:{b}
Typing_Extensions==4.15.0 ; python_full_version < '3.13' \\
    --hash=sha256:{a}
uvicorn[standard]==0.38.0+local  # a comment
""".format(a="a" * 64, b="b" * 64)
ENDS = {"sbom": "cdx.json", "provenance": "intoto.json"}


def document(tmp_path: Path, lock: str) -> dict[str, Any]:
    """Return the SBOM of a small wheel with a lock."""
    made = wheel(tmp_path)
    return sbom.document("Hello_Delivery", made, describe(made, "c" * 40), lock)


def valid(bom: dict[str, Any]) -> None:
    """See that a document is CycloneDX 1.6, to the letter."""
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom))
    assert wrong is None, wrong


@pytest.mark.parametrize("flavour", ["flask", "fastapi", "django", "library", "cli"])
def test_the_sbom_of_every_kind_of_project_is_valid(tmp_path: Path, flavour: str) -> None:
    lock = TEMPLATE / "requirements" / f"{{% if flavour == '{flavour}' %}}prod.txt{{% endif %}}"
    valid(document(tmp_path, lock.read_text()))


def test_the_sbom_tells_the_artifact_and_each_line_of_the_lock(tmp_path: Path) -> None:
    bom = document(tmp_path, LOCK)
    valid(bom)
    root = bom["metadata"]["component"]
    (made,) = tmp_path.glob("*.whl")
    assert root["purl"] == "pkg:pypi/hello-delivery@1.0%2Bg123"
    assert root["hashes"] == [{"alg": "SHA-256", "content": digest(made)}]
    told = {c["name"]: (c["version"], c["scope"]) for c in bom["components"]}
    assert told == {
        "flask": ("3.1.3", "required"),
        "typing-extensions": ("4.15.0", "optional"),
        "uvicorn": ("0.38.0+local", "required"),
    }
    (files,) = bom["components"][0]["externalReferences"]
    assert [entry["content"] for entry in files["hashes"]] == ["a" * 64, "b" * 64]
    assert bom["components"][1]["properties"][0]["value"] == "python_full_version < '3.13'"


def test_the_sbom_names_what_comes_from_the_system_and_nobody_looks_for_it_in_python(
    tmp_path: Path,
) -> None:
    made = wheel(tmp_path)
    bom = sbom.document("hello", made, describe(made, "c" * 40), "", ["libpq5"])
    valid(bom)
    (package,) = bom["components"]
    assert (package["name"], package["bom-ref"]) == ("libpq5", "deb:libpq5")
    assert bom["dependencies"][0]["dependsOn"] == ["deb:libpq5"]
    assert sbom.differences(bom, {"hello": "1.0+g123"}, ()) == []


def test_the_same_lock_and_wheel_give_the_same_sbom(tmp_path: Path) -> None:
    assert document(tmp_path, LOCK) == document(tmp_path, LOCK)


def test_a_line_that_pins_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="pins no version in 'flask>=3'"):
        document(tmp_path, "flask>=3\n")


THERE = {"hello-delivery": "1.0+g123", "flask": "3.1.3", "uvicorn": "0.38.0+local"}


@pytest.mark.parametrize(
    ("there", "besides", "said"),
    [
        (THERE, (), []),
        ({**THERE, "typing-extensions": "4.15.0"}, (), []),
        ({**THERE, "pip": "26"}, ("pip",), []),
        ({**THERE, "pytest": "9"}, None, []),
        ({**THERE, "pytest": "9"}, (), ["pytest 9 is installed, too"]),
        ({**THERE, "flask": "3.0"}, (), ["flask 3.0 is installed, and not 3.1.3"]),
        ({**THERE, "typing-extensions": "4"}, None, ["typing-extensions 4 is installed, and not"]),
        ({"flask": "3.1.3"}, (), ["hello-delivery is missing", "uvicorn is missing"]),
    ],
)
def test_what_is_installed_is_compared_with_the_sbom(
    tmp_path: Path, there: dict[str, str], besides: tuple[str, ...] | None, said: list[str]
) -> None:
    found = sbom.differences(document(tmp_path, LOCK), there, besides)
    assert [line.partition(" 4.15")[0] for line in found] == said


@pytest.fixture()
def built(ready: Toy) -> Toy:
    """Return a project whose commit is built."""
    token = "https://ada:tok3n@example.org:8443/acme/toy.git"
    ready.git("remote", "add", "origin", token)
    for stage in ("lint", "unit", "build"):
        done = ready.delivery("run", stage)
        assert done.returncode == 0, done.stdout + done.stderr
    return ready


def events(toy: Toy) -> dict[str, Any]:
    """Return what the ledger says of the build."""
    (path,) = (
        line
        for line in toy.git("ls-tree", "-r", "--name-only", "refs/delivery/ledger").splitlines()
        if ".build.built." in line
    )
    told: dict[str, Any] = json.loads(toy.git("show", f"refs/delivery/ledger:{path}"))
    return told


def test_both_papers_travel_with_the_wheel_and_stand_in_the_ledger(
    built: Toy, tmp_path: Path
) -> None:
    told = events(built)
    dist = built.root / "dist"
    papers = {kind: next(dist.glob(f"*.{end}")) for kind, end in ENDS.items()}
    assert {kind: digest(path) for kind, path in papers.items()} == {
        kind: told["predicate"][kind] for kind in ENDS
    }
    assert built.delivery("run", "publish").returncode == 0
    index = tmp_path / "data" / "index" / "toy"
    assert {path.name for path in papers.values()} <= {path.name for path in index.iterdir()}


def test_the_provenance_names_builder_commit_and_inputs_and_no_secret(built: Toy) -> None:
    (paper,) = (built.root / "dist").glob("*.intoto.json")
    (wheel,), (sdist,) = ((built.root / "dist").glob(name) for name in ("*.whl", "*.tar.gz"))
    (bom,) = (built.root / "dist").glob("*.cdx.json")
    told = json.loads(paper.read_text())
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://slsa.dev/provenance/v1"
    assert told["subject"] == [{"name": wheel.name, "digest": {"sha256": digest(wheel)}}]
    definition, details = told["predicate"]["buildDefinition"], told["predicate"]["runDetails"]
    assert details["builder"]["id"] == f"urn:walking-skeleton:builder:{socket.gethostname()}"
    assert {entry["name"]: entry["digest"]["sha256"] for entry in details["byproducts"]} == {
        path.name: digest(path) for path in (sdist, bom)
    }
    inputs = {entry["name"]: entry for entry in definition["resolvedDependencies"]}
    commit = built.git("rev-parse", "HEAD")
    assert definition["externalParameters"] == {"commit": commit}
    assert inputs["source"]["digest"] == {"gitCommit": commit}
    assert inputs["source"]["uri"] == f"git+https://example.org:8443/acme/toy.git@{commit}"
    pins = built.root / "requirements" / "dev.txt"
    assert inputs["requirements/dev.txt"]["digest"]["sha256"] == digest(pins)
    assert inputs["setuptools"]["uri"].startswith("pkg:pypi/setuptools@")
    assert "tok3n" not in paper.read_text() and str(built.root) not in paper.read_text()


def test_a_paper_that_was_changed_goes_no_further(built: Toy) -> None:
    (paper,) = (built.root / "dist").glob("*.cdx.json")
    paper.write_text(paper.read_text() + "\n")
    done = built.delivery("run", "publish")
    assert done.returncode == 1
    assert "is not what was written with the artifact" in done.stdout
    assert "publish published" not in built.log()


def test_a_lost_paper_is_explained_and_written_again(built: Toy) -> None:
    for paper in (built.root / "dist").glob("*.json"):
        paper.unlink()
    done = built.delivery("run", "publish")
    assert done.returncode == 1
    assert "neither in dist nor in the index: python3 -m delivery run build" in done.stdout
    assert built.delivery("run", "build").returncode == 0
    assert built.log().count("build built") == 1  # they are what they were
    assert built.delivery("run", "publish").returncode == 0


def test_a_release_that_lacks_what_its_sbom_names_is_refused(built: Toy, tmp_path: Path) -> None:
    project = Project.find(built.root)
    made = project.artifact()
    assert made
    (paper,) = (built.root / "dist").glob("*.cdx.json")
    bom = json.loads(paper.read_text())
    bom["components"].append({**bom["metadata"]["component"], "name": "nowhere", "version": "1.0"})
    told = {kind: digest(path) for kind, path in project.papers(made).items()}
    told["sbom"] = papers.write(built.root / "dist", made, "sbom", bom)
    project.record("built", "build", made, **told)
    assert built.delivery("publish").returncode == 0
    for words in (["install", str(tmp_path / "fresh")], ["inspect"]):
        done = built.delivery(*words)
        assert done.returncode == 1, done.stdout
        assert f"is not what the SBOM of {made.version} names:" in done.stderr
        assert "\n  nowhere is missing" in done.stderr
    assert not (tmp_path / "fresh" / "release.json").exists()


def test_an_installed_release_has_nothing_that_its_sbom_does_not_name(
    built: Toy, tmp_path: Path
) -> None:
    assert built.delivery("run", "publish").returncode == 0
    (paper,) = (tmp_path / "data").rglob("*.cdx.json")
    bom = json.loads(paper.read_text())
    assert bom["components"] == []  # a library without requirements
    done = built.delivery("install", str(tmp_path / "fresh"))
    assert done.returncode == 0, done.stdout + done.stderr
