"""An OCI image of a release, as ``Containerfile`` says: ``tox run -e image``."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from ..artifact.wheel import Artifact
from ..errors import DeliveryError
from ..project import Project
from . import main, run

# The first of them that is here.
BUILDERS = ("buildah", "podman", "docker")


def build(project: Project, artifact: Artifact, folder: Path, options: list[str]) -> None:
    """Build the image, named after the service and its version.

    Args:
        project: the project.
        artifact: what it is made of.
        folder: where that is, with what it needs.
        options: more for the builder, like ``--build-arg=BASE=…``.

    Raises:
        DeliveryError: there is no builder, or it failed.
    """
    builder = next(filter(shutil.which, BUILDERS), None)
    if builder is None:
        raise DeliveryError(f"none of {', '.join(BUILDERS)} is here: apt-get install buildah")
    # A tag may not have the + of a version.
    name = f"{project.config.name}:{re.sub(r'[^A-Za-z0-9_.-]', '-', artifact.version)}"
    told = {
        "VERSION": artifact.version,
        "REVISION": artifact.commit,
        "PACKAGES": " ".join(project.config.system),
    }
    # OCI's own format has no health check.
    command = [builder, "build", *["--format=docker"] * (builder != "docker"), f"--tag={name}"]
    command += [f"--build-arg={key}={text}" for key, text in told.items()]
    command += [f"--file={project.config.root / 'Containerfile'}", *options, str(folder)]
    run(command)
    print(f"{name} is made, by {builder}")


if __name__ == "__main__":
    sys.exit(main(build))
