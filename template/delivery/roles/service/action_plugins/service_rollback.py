"""Let a host go back by itself: what its last deploy left there is at hand, a module is not."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ansible.plugins.action import ActionBase

# What the shell says where there is no such file, or nothing to run it by.
NOT_THERE = (126, 127)


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Call ``rollback`` in the service's folder; see service_host.byhand."""

    def _early_needs_tmp_path(self) -> bool:
        """Nothing is put there first."""
        return False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module service_release would; or ``unheard``: the host has no such file.

        That of an older deploy may not speak to programs: it says how it is used, and does nothing.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        asked = {**self._task.args, "check": self._task.check_mode}
        words = [f"{asked.pop('root')}/rollback", "--json", json.dumps(asked)]
        done = self._low_level_execute_command(shlex.join(words))
        older = any(line.startswith("usage:") for line in done["stderr"].splitlines())
        if done["rc"] in NOT_THERE or older:
            return result | {"changed": False, "unheard": True}
        try:
            return {**result, **json.loads(done["stdout"].splitlines()[-1])}
        except (ValueError, IndexError):
            said = f"{done['stdout']}\n{done['stderr']}".strip() or "nothing"
            # It may have gone back all the same: whoever goes on has to look first.
            last = f"The host's own rollback ended with {done['rc']}, and said: "
            return {**result, "failed": True, "msg": f"{last}{said.splitlines()[-1]}\n{said}"}
