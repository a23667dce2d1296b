"""Four hosts for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .base import base
from .lab import Lab

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "walking-skeleton")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Four hosts that are up; a test that takes one down brings it up again."""
    with Lab(base(CACHE), 4) as made:
        yield made
