"""What the stage security does before it needs a tool of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from delivery import security
from delivery.git import Git


@pytest.mark.parametrize("text", ["", "# Nothing.\n\n"])
def test_a_lock_without_requirements_is_green_even_where_an_audit_is_required(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "requirements").mkdir()
    (tmp_path / security.LOCK).write_text(text)
    security.audit(Git(tmp_path), required=True)
    said = "requirements/prod.txt is empty: nothing ships that others wrote\n"
    assert capsys.readouterr().out == said
