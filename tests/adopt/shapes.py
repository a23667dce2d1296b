"""Projects that are there already, each as it is and what its people owe the stages of a pipeline.

The one of PyScaffold is PyScaffold's own. The other two are written down: here a setup.py and
little else, and in `pypackage` one in the style of cookiecutter-pypackage.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.adopt.files import FEATURE, SCRIPT, Files, edit, start, write
from tests.adopt.pypackage import mend_pypackage, pypackage
from tests.cookiecutter.conftest import git


# ---- PyScaffold -----------------------------------------------------------------------------
def pyscaffold(folder: Path) -> None:
    """Make what `putup` makes, its commit included."""
    told = ("-l", "MIT", "-d", "Posts parcels.", "-u", "https://github.com/acme/parcel-post")
    putup = Path(sys.executable).with_name("putup")
    home = {"XDG_CONFIG_HOME": str(folder.parent / "no-config")}
    subprocess.run(
        [putup, *told, "--name", "parcel-post", "--package", "parcel_post", folder],
        env=os.environ | home,
        check=True,
        capture_output=True,
    )


def mend_pyscaffold(folder: Path) -> None:
    """Give its stages what they want."""
    module = "src/parcel_post/skeleton.py"
    edit(folder, module, "example function\n", "example function\n\n    >>> fib(7)\n    13\n")
    edit(folder, module, "assert n > 0\n", "assert n > 0  # nosec B101\n")
    edit(folder, "pyproject.toml", "fail_under = 100", "fail_under = 93")
    example = ">>> from parcel_post.skeleton import fib\n>>> fib(7)\n13\n\nContents\n"
    edit(folder, "docs/index.rst", "Contents\n", example)
    edit(folder, "docs/conf.py", "todo_emit_warnings = True", "todo_emit_warnings = False")
    conf = folder / "docs/conf.py"
    inventories = re.compile(r"^intersphinx_mapping = \{.*?^\}\n", re.MULTILINE | re.DOTALL)
    conf.write_text(inventories.sub("", conf.read_text()))
    with (folder / ".flake8").open("a") as flake8:
        flake8.write("per-file-ignores =\n    docs/conf.py: SIM105\n")
    when = SCRIPT.format(first="from parcel_post.skeleton import fib", second="print(fib(7))")
    feature = FEATURE.format(name="Parcels", when=when, text="13")
    write(folder, {"tests/acceptance/features/parcels.feature": feature})


# ---- setup.py and little else ---------------------------------------------------------------
BARE: Files = {
    "setup.py": """\
import os

from setuptools import find_packages, setup

here = os.path.dirname(__file__)
with open(os.path.join(here, "README.md")) as readme:
    long_description = readme.read()

setup(
    name="tide_tables",
    version="1.4.0",
    author="Grace Hopper",
    author_email="grace@example.org",
    description="When the water is \\"high\\", and when it is low.",
    long_description=long_description,
    url="https://example.org/tides",
    license="BSD",
    packages=find_packages(exclude=["test"]),
    python_requires=">=3.9",
    install_requires=["typing_extensions>=4"],
)
""",
    "README.md": "# Tide tables\n",
    "LICENSE": "Redistribution and use are permitted ...\n\nNeither the name of the holder ...\n",
    "tide_tables/__init__.py": """\
from .tables import high

__version__ = "1.4.0"
""",
    "tide_tables/tables.py": '''\
from typing_extensions import assert_never

def high( hour ):
    """Whether the water is high."""
    if hour % 12 in (0,1,11): return True
    return False
''',
    "test/test_tables.py": """\
import unittest
from tide_tables import high

class TestHigh(unittest.TestCase):
    def test_noon(self):
        self.assertTrue(high(12))

    def test_evening(self):
        self.assertFalse(high(18))
""",
}


def bare(folder: Path) -> None:
    """Make a project of a setup.py, a package beside it, and one test."""
    start(folder, BARE)
    git(folder, "tag", "v1.4.0")


def mend_bare(folder: Path) -> None:
    """Give its stages what they want."""
    module = "src/tide_tables/tables.py"
    edit(folder, module, "from typing_extensions import assert_never\n\n\n", "")
    edit(folder, module, "is high.", "is high.\n\n    >>> high(0)\n    True\n    ")
    edit(
        folder,
        module,
        "    if hour % 12 in (0, 1, 11):\n        return True\n    return False",
        "    return hour % 12 in (0, 1, 11)",
    )
    with (folder / ".flake8").open("a") as flake8:
        flake8.write("per-file-ignores =\n    __init__.py: F401\n")
    index = "Tides\n=====\n\n>>> from tide_tables import high\n>>> high(12)\nTrue\n"
    when = SCRIPT.format(first="from tide_tables import high", second="print(high(12))")
    feature = FEATURE.format(name="Tides", when=when, text="True")
    write(folder, {"docs/index.rst": index, "tests/acceptance/features/tides.feature": feature})


@dataclass(frozen=True)
class Shape:
    """A shape of project: its name, who makes it, and what its people do after joining."""

    name: str
    make: Callable[[Path], None]
    mend: Callable[[Path], None]


SHAPES = {
    "pyscaffold": Shape("parcel-post", pyscaffold, mend_pyscaffold),
    "setup.py": Shape("tide-tables", bare, mend_bare),
    "pypackage": Shape("parcel_ledger", pypackage, mend_pypackage),
}
