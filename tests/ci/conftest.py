"""The template as the work tree has it."""

from __future__ import annotations

from tests.render.conftest import Render, default, render, template

__all__ = ["Render", "default", "render", "template"]
