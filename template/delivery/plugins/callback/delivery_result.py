"""Write down what a playbook did to each host, whatever the end: DELIVERY_RESULT names the file.

DELIVERY_ATTEMPT names one that is kept locked as long as the playbook lives.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: delivery_result
type: notification
short_description: write the result of each host to a file
description:
  - Writes a JSON file with one object for each host. It tells whether the host is well, whether
    it was changed, in one sentence why it failed, and which release is live.
options: {}
requirements:
  - DELIVERY_RESULT in the environment; without it nothing is written
"""
# What the module that owns the release tells of it.
TOLD = (
    *("url", "version", "sha256", "commit", "previous", "earlier", "system"),
    *("migrated", "seconds", "advanced", "busy", "claim", "taken_over"),
)


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Collects results of tasks, and writes them when the playbook has ended."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "delivery_result"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.hosts: dict[str, dict[str, Any]] = {}
        if name := os.environ.get("DELIVERY_ATTEMPT"):
            self.attempt = Path(name).open("rb")
            fcntl.lockf(self.attempt, fcntl.LOCK_SH)

    def _add(self, result: Any, ok: bool = True) -> None:
        """Add the result of a task to what is known of its host."""
        facts = result.result if hasattr(result, "result") else result._result
        known = self.hosts.setdefault(
            result._host.get_name(), {"ok": True, "changed": False, "reason": None}
        )
        known["changed"] |= bool(facts.get("changed"))
        known |= {key: facts[key] for key in TOLD if key in facts}
        if judged := facts.get("ansible_facts", {}).get("service_canary"):
            known["canary"] = judged["said"]
        if not ok:
            text = str(facts.get("reason") or facts.get("msg") or "a task failed and says not why")
            known |= {"ok": False, "reason": text.strip().splitlines()[0]}

    def v2_runner_on_ok(self, result: Any) -> None:
        """Take what a task gave back."""
        self._add(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Take why a task failed."""
        self._add(result, ok=ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Take why a host cannot be reached."""
        self._add(result, ok=False)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Write the file, in one step."""
        if name := os.environ.get("DELIVERY_RESULT"):
            draft = Path(f"{name}.new")
            draft.write_text(json.dumps({"hosts": self.hosts}, indent=1) + "\n", encoding="utf-8")
            draft.rename(name)
