"""Ansible's door to service_host.requests: what became of the requests of a while."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from service_host import errors, journal, layout, requests, supervisor, units
else:
    from ansible.module_utils.service_host import (
        errors,
        journal,
        layout,
        requests,
        supervisor,
        units,
    )


def main() -> None:
    """Watch the live release, and change nothing."""
    arguments = {
        "root": {"required": True},
        "seconds": {"type": "float", "required": True},
        "front": {"required": True},
        "init": {"choices": ["supervisor", "systemd"], "default": "supervisor"},
        "name": {"required": True},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    try:
        place = layout.layout(module.params["root"])
        live = journal.Journal(place.journal, "").state().live
    except (errors.Refused, OSError) as error:
        module.fail_json(msg=str(error))
    front = Path(module.params["front"]).expanduser()
    keeper = (
        units.Units(place, module.params["name"])
        if module.params["init"] == "systemd"
        else supervisor.Supervisor(place)
    )

    def pid() -> int:
        """Return the process that the init keeps; one that cannot be asked knows none."""
        try:
            return keeper.status(live.instance).pid if live else 0
        except errors.Refused:
            return 0

    watched = requests.watch(place, module.params["seconds"], front, pid)
    module.exit_json(changed=False, watched={**watched, "instance": live and live.instance})


if __name__ == "__main__":
    main()
