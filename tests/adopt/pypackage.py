"""A project in the style of cookiecutter-pypackage, as it was for many years."""

from __future__ import annotations

from pathlib import Path

from tests.adopt.files import FEATURE, Files, edit, start, write

PYPACKAGE: Files = {
    "setup.py": '''\
#!/usr/bin/env python

"""The setup script."""

from setuptools import setup, find_packages

with open('README.rst') as readme_file:
    readme = readme_file.read()

with open('HISTORY.rst') as history_file:
    history = history_file.read()

requirements = ['Click>=7.0', ]

test_requirements = ['pytest>=3', 'pytest-subtests', ]

setup(
    author="Audrey Example",
    author_email='audrey@example.com',
    python_requires='>=3.6',
    classifiers=[
        'Development Status :: 2 - Pre-Alpha',
        'Intended Audience :: Developers',
        'License :: OSI Approved :: MIT License',
        'Natural Language :: English',
        'Programming Language :: Python :: 3',
    ],
    description="Python Boilerplate contains all the boilerplate you need.",
    entry_points={
        'console_scripts': [
            'parcel_ledger=parcel_ledger.cli:main',
        ],
    },
    install_requires=requirements,
    license="MIT license",
    long_description=readme + '\\n\\n' + history,
    include_package_data=True,
    keywords='parcel_ledger',
    name='parcel_ledger',
    packages=find_packages(include=['parcel_ledger', 'parcel_ledger.*']),
    test_suite='tests',
    tests_require=test_requirements,
    url='https://github.com/audrey/parcel_ledger',
    version='0.3.1',
    zip_safe=False,
)
''',
    "setup.cfg": """\
[bumpversion]
current_version = 0.3.1
commit = True
tag = True

[bumpversion:file:setup.py]
search = version='{current_version}'
replace = version='{new_version}'

[bdist_wheel]
universal = 1

[flake8]
exclude = docs

[tool:pytest]
addopts = --ignore=setup.py
""",
    "tox.ini": """\
[tox]
envlist = py36, py37, py38, flake8

[testenv]
deps = -r{toxinidir}/requirements_dev.txt
commands = pytest --basetemp={envtmpdir}
""",
    "MANIFEST.in": "include AUTHORS.rst\nrecursive-include tests *\n",
    "Makefile": "test: ## run tests quickly with the default Python\n\tpytest\n",
    ".editorconfig": "root = true\n",
    ".github/ISSUE_TEMPLATE.md": "* Python version:\n",
    ".gitignore": "__pycache__/\n*.py[cod]\nbuild/\ndist/\nlib/\nenv/\n*.egg-info/\ndocs/_build/\n",
    ".travis.yml": "language: python\nscript: tox\n",
    "requirements_dev.txt": "bump2version==0.5.11\ntox==3.14.0\n",
    "README.rst": "=============\nparcel_ledger\n=============\n",
    "HISTORY.rst": "=======\nHistory\n=======\n\n0.3.1\n-----\n\n* First release.\n",
    "AUTHORS.rst": "=======\nCredits\n=======\n",
    "LICENSE": "MIT License\n\nPermission is hereby granted, free of charge, to any person\n",
    "parcel_ledger/__init__.py": '''\
"""Top-level package for parcel_ledger."""

__author__ = """Audrey Example"""
__email__ = 'audrey@example.com'
__version__ = '0.3.1'
''',
    "parcel_ledger/parcel_ledger.py": '''\
"""Main module."""


def entry(parcel, weight):
    """One line of the ledger."""
    return '{}: {:.1f} kg'.format(parcel, weight)
''',
    "parcel_ledger/cli.py": '''\
"""Console script for parcel_ledger."""
import sys
import click

from parcel_ledger.parcel_ledger import entry


@click.command()
@click.argument('parcel')
def main(parcel):
    """Console script for parcel_ledger."""
    click.echo(entry(parcel, 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())  # pragma: no cover
''',
    "tests/__init__.py": '"""Unit test package for parcel_ledger."""\n',
    "tests/test_parcel_ledger.py": '''\
#!/usr/bin/env python

"""Tests for `parcel_ledger` package."""


import unittest
from click.testing import CliRunner

from parcel_ledger import cli


class TestParcel_ledger(unittest.TestCase):
    """Tests for `parcel_ledger` package."""

    def test_command_line_interface(self):
        """Test the CLI."""
        runner = CliRunner()
        result = runner.invoke(cli.main, ['P1'])
        assert result.exit_code == 0
        assert 'P1: 1.0 kg' in result.output
''',
    "docs/conf.py": """\
#!/usr/bin/env python
import os
import sys
sys.path.insert(0, os.path.abspath('..'))

import parcel_ledger

extensions = ['sphinx.ext.autodoc', 'sphinx.ext.viewcode']
source_suffix = '.rst'
master_doc = 'index'
project = 'parcel_ledger'
author = "Audrey Example"
version = parcel_ledger.__version__
release = parcel_ledger.__version__
html_theme = 'alabaster'
html_static_path = ['_static']
""",
    "docs/Makefile": "html:\n\tsphinx-build . _build\n",
    "docs/index.rst": """\
Welcome to parcel_ledger's documentation!
=========================================

.. toctree::
   :maxdepth: 2

   readme
   usage
   modules
   history
""",
    "docs/readme.rst": ".. include:: ../README.rst\n",
    "docs/history.rst": ".. include:: ../HISTORY.rst\n",
    "docs/usage.rst": """\
=====
Usage
=====

To use parcel_ledger in a project::

    import parcel_ledger
""",
}


def pypackage(folder: Path) -> None:
    """Make a project in the style of cookiecutter-pypackage."""
    start(folder, PYPACKAGE)


def mend_pypackage(folder: Path) -> None:
    """Give its stages what they want."""
    module = "src/parcel_ledger/parcel_ledger.py"
    example = "ledger.\n\n    >>> entry('P1', 2)\n    'P1: 2.0 kg'\n    "
    edit(folder, module, "ledger.", example)
    edit(folder, "docs/index.rst", "   modules\n", "")
    edit(folder, "docs/conf.py", 'html_static_path = ["_static"]\n', "")
    example = ":\n\n    >>> from parcel_ledger.parcel_ledger import entry\n"
    example += "    >>> entry('P1', 2)\n    'P1: 2.0 kg'\n"
    edit(folder, "docs/usage.rst", "::\n\n    import parcel_ledger\n", example)
    with (folder / ".flake8").open("a") as flake8:
        flake8.write("per-file-ignores =\n    docs/conf.py: E402\n    tests/unit/*: N801\n")
    when = 'somebody runs "parcel_ledger P1"'
    feature = FEATURE.format(name="Ledger", when=when, text="P1: 1.0 kg")
    write(folder, {"tests/acceptance/features/ledger.feature": feature})
