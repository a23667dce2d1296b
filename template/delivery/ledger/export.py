"""Everything that ever happened to an artifact, as an in-toto bundle: JSON, one statement a line.

See https://github.com/in-toto/attestation/blob/main/spec/v1/bundle.md. A signed statement is in its
DSSE envelope, as it was signed; the others stand as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from ..artifact.wheel import Artifact
from ..errors import DeliveryError, UsageError
from ..project import Project
from ..view import show, show_json
from .chain import REF, Chain


def export(project: Project, name: str | None, folder: Path | None, as_json: bool) -> None:
    """Print the bundle of one artifact, or write those of all into a folder.

    Args:
        project: the project.
        name: the artifact, see `Project.named`.
        folder: where to write every artifact's bundle, named for its wheel and its sha256.
        as_json: print one list instead of lines: of the statements, or of the files' names.

    Raises:
        UsageError: neither or both were given.
        DeliveryError: the folder cannot be written.
    """
    if (name is None) == (folder is None):
        raise UsageError("export needs a VERSION, or --all FOLDER")
    if name is not None:
        lines = list(bundle(project, project.named(name)))
        if as_json:
            show_json([json.loads(line) for line in lines])
        else:
            show("\n".join(lines))
    if folder is not None:
        built = project.ledger.events(event=("built",))
        known = {e.sha256: Artifact(str(e.wheel), "", str(e.sha256), e.commit) for e in built}
        places = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for artifact in known.values():
                place = folder / f"{artifact.wheel}.{artifact.sha256[:12]}.intoto.jsonl"
                place.write_text("".join(f"{line}\n" for line in bundle(project, artifact)))
                places.append(str(place))
        except OSError as error:
            raise DeliveryError(f"{folder} cannot be written: {error}") from None
        if as_json:
            show_json(places)
        else:
            show(f"{len(places)} bundles are in {folder}")


def bundle(project: Project, artifact: Artifact) -> Iterator[str]:
    """Yield the lines: what happened to the commit, and then to the artifact, oldest first.

    A record of a newer form is among them; what is no JSON cannot be.
    """
    about = (artifact.commit[:12], artifact.sha256[:12])

    def wanted(path: str) -> bool:
        parts = path.split(".")
        return len(parts) > 5 and (
            parts[-3] == about[1] or (parts[-4], parts[-3]) == (about[0], "none")
        )

    for path, body in files(project.ledger.chain, wanted):
        if body is None:
            raise DeliveryError(f"{path} of the ledger is lost here: git fsck")
        try:
            yield json.dumps(json.loads(body), separators=(",", ":"))
        except ValueError:
            continue


def files(chain: Chain, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
    """Yield path and content of the files whose path is wanted, oldest first.

    What git has lost here is None.
    """
    if chain.tip() is None:
        return
    listed = chain.git.text("ls-tree", "-r", "-z", REF).split("\0")
    told = [line.partition("\t")[::2] for line in listed if line]
    found = [(path, about.split()[2]) for about, path in told if wanted(path)]
    asked = "".join(f"{oid}\n" for _, oid in found).encode()
    answer, start = chain.git.output("cat-file", "--batch", data=asked) if found else b"", 0
    for path, _ in found:
        end = answer.index(b"\n", start)
        said = answer[start:end].split()
        start = end + 1
        if said[1:] == [b"missing"]:
            yield path, None
        else:
            yield path, answer[start : start + int(said[2])]
            start += int(said[2]) + 1
