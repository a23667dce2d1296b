"""Ansible's door to service_host.claim: one rollout at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from service_host import claim, errors, layout, lock
else:
    from ansible.module_utils.service_host import claim, errors, layout, lock

ARGUMENTS = {
    "state": {"choices": ["present", "kept", "absent"], "default": "present"},
    "root": {"required": True},
    "attempt": {"required": True},
    "over": {},
    "by": {"default": "somebody"},
    "version": {"default": ""},
    "seconds": {"type": "float", "default": 600.0},
}


def main() -> None:
    """Claim the hosts for an attempt, or give them back."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    told = module.params
    try:
        place = layout.layout(told["root"])
        attempt = claim.Attempt(told["attempt"], told["over"])
        if module.check_mode:
            attempt.admit(place)
        elif told["state"] == "absent":
            claim.give_back(place, attempt)
        else:
            place.root.mkdir(parents=True, exist_ok=True)
            with lock.held(place.lock, told["by"], told["version"]):
                take = claim.keep if told["state"] == "kept" else claim.take
                take(place, attempt, told["by"], told["version"], told["seconds"])
    except errors.Busy as busy:
        module.fail_json(msg=busy.reason, busy=True, claim=busy.claim)
    except (errors.Refused, OSError) as error:
        module.fail_json(msg=errors.sentence(error))
    # It is no part of what a host is to be like: a second run changes nothing.
    module.exit_json(changed=False, root=told["root"], **attempt.said)


if __name__ == "__main__":
    main()
