"""Copier as it is, but for what it does over and over for one and the same template.

A process of the tests copies up to thousands of times. Who runs Copier's command, as a person
does, is not concerned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from copier import _main
from copier._jinja_ext import SandboxedEnvironment


@pytest.fixture(scope="session", autouse=True)
def quick_copier() -> Iterator[None]:
    """Compile a source once, and no plain text; ask git only where a repository is."""
    codes: dict[tuple[str, Any], Any] = {}
    compile_source = SandboxedEnvironment.compile
    sync, render = _main.Worker._sync_git_index_executable_bit, _main.Worker._render_string

    def compiled(self: SandboxedEnvironment, source: Any, name: Any = None, *more: Any) -> Any:
        key = (str(source), name)
        if key not in codes:
            codes[key] = compile_source(self, source, name, *more)
        self.preprocess("")  # An extension keeps a state that compiling would have reset.
        return codes[key]

    def synced(self: _main.Worker, *file: Any) -> None:
        if (self.subproject.local_abspath / ".git").exists():
            sync(self, *file)

    def rendered(self: _main.Worker, string: str, extra_context: Any = None) -> str:
        if not isinstance(string, str) or "{" in string:
            return render(self, string, extra_context)
        self.jinja_env.preprocess("")  # as above
        return string

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SandboxedEnvironment, "compile", compiled)
        patch.setattr(_main.Worker, "_render_string", rendered)
        patch.setattr(_main.Worker, "_sync_git_index_executable_bit", synced)
        yield
