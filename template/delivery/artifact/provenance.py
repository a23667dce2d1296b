"""Where an artifact comes from: an in-toto Statement with SLSA's provenance v1 as its predicate.

https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import DeliveryError
from ..git import Git
from ..ledger import signature
from ..ledger.event import STATEMENT
from .wheel import LOCK, Artifact, normalized

PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:walking-skeleton:build:v1"  # an sdist of a clean clone, and the wheel of that
BUILDER = "urn:walking-skeleton:builder:"
TOOLS = ("build", "packaging", "pyproject-hooks", "setuptools", "setuptools-scm", "wheel")
INPUTS = ("pyproject.toml", LOCK, "requirements/dev.txt")  # what decides what is installed


def statement(git: Git, artifact: Artifact, byproducts: dict[str, str], via: str) -> dict[str, Any]:
    """Return the provenance of an artifact that this very Python has just built.

    It has no time of its own, which the ledger keeps: who builds the same commit again in the same
    place gets the same document.

    Args:
        git: the repository.
        artifact: what was built.
        byproducts: the sha256 of what else came out, by file name.
        via: through what it was built, a CI system's or a machine's name.
    """
    return {
        "_type": STATEMENT,
        "subject": [{"name": artifact.wheel, "digest": {"sha256": artifact.sha256}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"commit": artifact.commit},
                "internalParameters": {
                    "SOURCE_DATE_EPOCH": git.text("show", "-s", "--format=%ct", artifact.commit),
                    "umask": "022",
                },
                "resolvedDependencies": [
                    _source(git, artifact.commit),
                    *_inputs(git, artifact.commit),
                    *_tools(),
                ],
            },
            "runDetails": {
                "builder": {
                    "id": BUILDER + quote(via, safe=""),
                    "version": {"python": platform.python_version(), "platform": sys.platform},
                },
                "byproducts": [
                    {"name": name, "digest": {"sha256": sha256}}
                    for name, sha256 in sorted(byproducts.items())
                ],
            },
        },
    }


def signed(git: Git, told: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return a Statement in a DSSE envelope, or as it is when nothing signs it; and which it is.

    Nobody is asked for a passphrase: a build goes on without a signature, and says so.
    """
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    try:
        envelope = signature.sign(git, text, ask=False)
    except DeliveryError as error:
        return told, f"not signed: {error}"
    if envelope is None:
        return told, f"not signed; to sign: {signature.SETUP}"
    return json.loads(envelope), f"signed with {git.setting('user.signingkey')}"


def subjects(text: str) -> set[str]:
    """Return the sha256 of each artifact that a Statement is about, in an envelope or without.

    It is empty when ``text`` is no provenance.
    """
    try:
        told = json.loads(text)
        if "payload" in told:
            told = json.loads(base64.b64decode(told["payload"], validate=True))
        if (told["_type"], told["predicateType"]) != (STATEMENT, PREDICATE):
            return set()
        return {str(subject["digest"]["sha256"]) for subject in told["subject"]}
    except (ValueError, KeyError, TypeError):
        return set()


def _source(git: Git, commit: str) -> dict[str, Any]:
    """Return the commit and, if its repository has a public place, where it can be had."""
    source: dict[str, Any] = {"name": "source", "digest": {"gitCommit": commit}}
    try:
        address = urlsplit(git.text("remote", "get-url", "origin"))
    except DeliveryError:
        return source
    if address.scheme in ("http", "https", "ssh") and address.hostname:
        port = f":{address.port}" if address.port else ""
        # Without whoever fetches it: a token could stand there.
        source["uri"] = f"git+{address.scheme}://{address.hostname}{port}{address.path}@{commit}"
    return source


def _inputs(git: Git, commit: str) -> list[dict[str, Any]]:
    named = []
    for path in INPUTS:
        if git.ok("cat-file", "-e", f"{commit}:{path}"):
            sha256 = hashlib.sha256(git.output("show", f"{commit}:{path}")).hexdigest()
            named.append({"name": path, "digest": {"sha256": sha256}})
    return named


def _tools() -> list[dict[str, Any]]:
    there = {normalized(each.metadata["Name"]): each.version for each in distributions()}
    return [
        {"name": name, "uri": f"pkg:pypi/{name}@{quote(there[name], safe='.')}"}
        for name in TOOLS
        if name in there
    ]
