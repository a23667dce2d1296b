"""Ansible's door to what a devpi server has: users, passwords, indices, a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from devpi_host import LIVE, Failed, ask, run
else:
    from ansible.module_utils.devpi_host import LIVE, Failed, ask, run

MIRROR = "mirror"  # of the user root
USERS = {
    "name": {"required": True},
    "password": {"required": True, "no_log": True},
    "indices": {"type": "list", "elements": "str", "default": []},
    "uploaders": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    """Make the server have what is declared; what is not stays as it is."""
    arguments = {
        "root_password": {"required": True, "no_log": True},
        "users": {"type": "list", "elements": "dict", "options": USERS, "required": True},
        "mirror": {"default": ""},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    told = Told(module.params["root_password"], module.check_mode)
    try:
        told.declare(module.params["users"], module.params["mirror"])
    except (Failed, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(told.did), did=told.did)


class Told:
    """A server that is told what to have.

    Attributes:
        did: what was changed, a few words each; in a dry run, what would be.
    """

    def __init__(self, password: str, check: bool) -> None:
        self.password, self.check = password, check
        self.did: list[str] = []
        self.root: tuple[str, str] | None = None

    def declare(self, users: list[dict[str, Any]], mirror: str) -> None:
        """Make it have the users and indices."""
        self.become_root()
        there = self.ask("GET", "/")
        bases = []
        if mirror:
            bases = [f"root/{MIRROR}"]
            # Never the whole list of names: nobody needs it.
            wanted = {"type": "mirror", "volatile": False, "mirror_url": mirror}
            wanted |= {"mirror_no_project_list": True}
            self.index(there, "root", MIRROR, wanted)
        for user in users:
            name, password = user["name"], user["password"]
            if name not in there:
                self.change("PUT", f"/{name}", {"password": password}, f"user {name}")
            elif login(name, password) is None:
                self.change("PATCH", f"/{name}", {"password": password}, f"password of {name}")
        for user in users:
            inherited = bases
            for index in reversed(user["indices"]):
                may = sorted(user["uploaders"]) or [user["name"]]
                wanted = {"type": "stage", "volatile": False, "bases": inherited}
                wanted |= {"acl_upload": may, "acl_toxresult_upload": may}
                self.index(there, user["name"], index, wanted)
                inherited = [f"{user['name']}/{index}"]

    def become_root(self) -> None:
        """Log in as root, whose password is made the declared one first."""
        token = login("root", self.password)
        if token is None:
            self.did.append("password of root")
            if self.check:
                return
            passwd = [LIVE / "venv/bin/devpi-passwd", "--serverdir", LIVE / "server", "root"]
            run(passwd, f"{self.password}\n{self.password}\n")
            token = login("root", self.password)
            if token is None:
                raise Failed("devpi does not take the password that root was given: try again")
        self.root = ("root", token)

    def index(self, there: dict[str, Any], user: str, name: str, wanted: dict[str, Any]) -> None:
        """Make one index as it is declared."""
        config = there.get(user, {}).get("indexes", {}).get(name)
        if config is None:
            self.change("PUT", f"/{user}/{name}", wanted, f"index {user}/{name}")
            return
        now = {key: config.get(key) for key in wanted}
        for key in ("acl_upload", "acl_toxresult_upload"):
            if key in now:
                now[key] = sorted(now[key] or [])
        if now != wanted:
            self.change("PATCH", f"/{user}/{name}", wanted, f"index {user}/{name}")

    def change(self, method: str, path: str, document: object, what: str) -> None:
        """Change something, and remember that."""
        self.did.append(what)
        if not self.check:
            self.ask(method, path, document)

    def ask(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        """Ask as root; return the result."""
        status, told = ask(method, path, document, self.root)
        if status not in (200, 201):
            raise Failed(f"devpi says {status} to {method} {path}: {told.get('message', '')}")
        result = told.get("result", {})
        return result if isinstance(result, dict) else {}


def login(user: str, password: str) -> str | None:
    """Return a token for a password, or None if it is another one."""
    status, told = ask("POST", "/+login", {"user": user, "password": password})
    return str(told["result"]["password"]) if status == 200 else None


if __name__ == "__main__":
    main()
