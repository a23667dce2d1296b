"""Sphinx's configuration; who and what comes from pyproject.toml, the version from git."""

import tomllib
from pathlib import Path

from setuptools_scm import get_version

ROOT = Path(__file__).parents[1]
about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = about["name"]
author = about["authors"][0]["name"]
copyright = author
version = release = get_version(root=str(ROOT))

extensions = ["sphinx.ext.autodoc"]
html_theme = "furo"
