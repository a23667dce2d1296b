"""Ansible's door to service_host.stack: what a service stands on where there is no root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from service_host import api
else:
    from ansible.module_utils.service_host import api

ARGUMENTS = {
    "state": {"choices": ["live", "stopped"], "default": "live"},
    "root": {"type": "path", "required": True},
    "by": {"default": "somebody"},
    "address": {"default": "127.0.0.1"},
    "port": {"type": "int", "required": True},
    "tools": {"required": True},
    "files": {"type": "dict", "required": True},
}


def main() -> None:
    """Bring supervisor and its front up or down."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    api.answer(module, api.supervise)


if __name__ == "__main__":
    main()
