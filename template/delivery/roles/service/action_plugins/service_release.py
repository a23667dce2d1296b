"""Take the wheel along: the module finds it, and its lock, in its own folder on the host."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase

FILES = ("wheel", "requirements")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Put the files on the host, then run the module of the same name there."""

    def _early_needs_tmp_path(self) -> bool:
        """A rollback takes no files along, and needs no folder for them there and away again."""
        return any(self._task.args.get(name) for name in FILES)

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments, shell = dict(self._task.args), self._connection._shell
        put = []
        for name in FILES:
            if not (source := arguments.get(name)):
                continue
            if not os.path.isfile(source):
                reason = f"There is no {source}: give service_{name} the path of a file."
                return {**result, "failed": True, "msg": reason}
            target = shell.join_path(shell.tmpdir, os.path.basename(source))
            arguments[name] = self._transfer_file(source, target)
            put.append(target)
        if put:
            # At once, and only if somebody else has to read them: each call is a way to the host.
            self._fixup_perms2((shell.tmpdir, *put), execute=False)
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result
