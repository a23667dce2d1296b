"""What a release is made of: a CycloneDX 1.6 document, made from its lock and from nothing else.

https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import DeliveryError
from .wheel import Artifact, metadata, normalized, requirements

SYSTEM = "delivery:system"  # the property of what is no Python's: deb
MARKER = "python:marker"  # the property that says where a component is installed
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;]+)\s*(?:;\s*(.*?))?$")


def pins(lock: str) -> list[tuple[str, str, str, list[str]]]:
    """Return what a requirements file pins: name, version, marker, and the digests allowed.

    Raises:
        DeliveryError: a line pins nothing.
    """
    found = []
    for line in lock.replace("\\\n", " ").splitlines():
        said = line.partition(" #")[0].strip()
        if not said or said.startswith("#"):
            continue
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", said)
        match = PIN.match(said.partition("--hash")[0].strip())
        if match is None:
            raise DeliveryError(f"the lock pins no version in {said[:60]!r}")
        found.append((normalized(match[1]), match[2], match[3] or "", hashes))
    return found


def document(
    name: str, wheel: Path, artifact: Artifact, lock: str, system: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the SBOM of a release: the wheel, and every requirement of its lock.

    A requirement with a marker has the scope ``optional``: it is installed where the marker holds.
    The same wheel and lock give the same document; it has no time of its own.

    Args:
        name: the distribution's name.
        wheel: the artifact's file.
        artifact: what it is known by.
        lock: the hashed requirements that a release installs, as its commit has them.
        system: the Debian packages it needs; their version is the host's own.
    """
    about = metadata(wheel)
    root: dict[str, Any] = {
        "type": "application",
        "bom-ref": _purl(name, artifact.version),
        "name": normalized(name),
        "version": artifact.version,
        "purl": _purl(name, artifact.version),
        "hashes": [{"alg": "SHA-256", "content": artifact.sha256}],
    }
    if "License-Expression" in about:
        root["licenses"] = [{"expression": about["License-Expression"]}]
    components = [_component(*pin) for pin in pins(lock)]
    direct = {normalized(wanted) for wanted in requirements(wheel)}
    needed = sorted({c["bom-ref"] for c in components if c["name"] in direct})
    for package in system:
        mark = {"name": SYSTEM, "value": "deb"}
        about_ = {"type": "library", "bom-ref": f"deb:{package}", "name": package}
        components.append({**about_, "scope": "required", "properties": [mark]})
        needed.append(f"deb:{package}")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, 'sha256:' + artifact.sha256)}",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": [{"ref": root["bom-ref"], "dependsOn": needed}],
    }


def _component(name: str, version: str, marker: str, hashes: list[str]) -> dict[str, Any]:
    purl = _purl(name, version)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"{purl}#{quote(marker, safe='')}" if marker else purl,
        "name": name,
        "version": version,
        "purl": purl,
        "scope": "optional" if marker else "required",
    }
    if marker:
        component["properties"] = [{"name": MARKER, "value": marker}]
    if hashes:  # of the files that may be installed, one of which is
        listed = [{"alg": "SHA-256", "content": content} for content in hashes]
        component["externalReferences"] = [{"type": "distribution", "url": purl, "hashes": listed}]
    return component


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{normalized(name)}@{quote(version, safe='.')}"


def installed(folders: Iterable[str | Path]) -> dict[str, str]:
    """Return the versions of what is installed in folders (``sys.path``, say), by name."""
    found = distributions(path=[str(folder) for folder in folders])
    return {normalized(each.metadata["Name"]): each.version for each in found}


def of_python(bom: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the components that Python installs, the artifact among them."""
    said = [*bom["components"], bom["metadata"]["component"]]
    return [c for c in said if SYSTEM not in (p["name"] for p in c.get("properties", ()))]


def differences(
    bom: Mapping[str, Any], there: Mapping[str, str], besides: Iterable[str] | None
) -> list[str]:
    """Return what is not installed as the SBOM says, a line each.

    Args:
        bom: the document.
        there: what is installed.
        besides: the names that may be there, too; None: any.
    """
    wanted: dict[str, set[str]] = {}
    required = set()
    for component in of_python(bom):
        wanted.setdefault(component["name"], set()).add(component["version"])
        if component.get("scope", "required") == "required":
            required.add(component["name"])
    wrong = [f"{name} is missing" for name in sorted(required - there.keys())]
    wrong += [
        f"{name} {there[name]} is installed, and not {' or '.join(sorted(versions))}"
        for name, versions in sorted(wanted.items())
        if name in there and there[name] not in versions
    ]
    if besides is not None:
        more = there.keys() - wanted.keys() - set(besides)
        wrong += [f"{name} {there[name]} is installed, too" for name in sorted(more)]
    return wrong
