"""Ansible's door to service_host: which release of a service is live on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from service_host import api
else:
    from ansible.module_utils.service_host import api

ARGUMENTS = {
    "state": {"choices": list(api.STATES), "default": "live"},
    # No type path: that would take a $ in it for a variable.
    "root": {"required": True},
    "init": {"choices": list(api.INITS), "default": "supervisor"},
    "user": {},
    "url": {"required": True},
    "name": {"required": True},
    "version": {},
    "sha256": {},
    "commit": {},
    "wheel": {},
    "requirements": {},
    "python": {},
    "packages": {"type": "list", "elements": "str", "default": []},
    # One text, for Ansible would star out every value of a dictionary wherever it occurs.
    "environment": {"no_log": True, "default": "{}"},
    "left": {},
    "by": {"default": "somebody"},
    "attempt": {},
    "over": {},
    "address": {"default": "127.0.0.1"},
    "port": {"type": "int", "required": True},
    "tls": {"choices": ["none", "internal", "given"], "default": "none"},
    "tls_port": {"type": "int", "default": 443},
    "tls_host": {},
    "certificate": {},
    "certificate_key": {"no_log": True},
    "keep": {"type": "int", "default": 5},
    "migrate": {"type": "bool", "default": True},
    "probe_seconds": {"type": "float", "default": 15.0},
    "drain_seconds": {"type": "float", "default": 30.0},
    "tools": {"required": True},
    "files": {"type": "dict", "required": True},
}


def main() -> None:
    """Make a release staged, live, undone or absent; stop the service, or end it."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[
            ("state", "live", ("version", "sha256")),
            ("state", "staged", ("version", "sha256")),
            ("state", "undone", ("version",)),
        ],
        supports_check_mode=True,
    )
    api.answer(module)


if __name__ == "__main__":
    main()
