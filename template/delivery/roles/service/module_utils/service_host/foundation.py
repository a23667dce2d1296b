"""What a service stands on: its tools, the front, and what keeps its instances running."""

from __future__ import annotations

import abc
import contextlib
import hashlib
import http.client
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import Refused
from .files import discard, holds, mode_of, read, write
from .install import make_venv
from .keeper import Keeper
from .layout import Layout
from .lock import Lock
from .probe import Connect, ask, over_tcp, over_tls, over_unix
from .tls import Tls

START_SECONDS = 10.0
PARTING_SECONDS = 1.0


@dataclass
class Foundation(abc.ABC):
    """The tools and files under one service, as they should be; one subclass an init system."""

    layout: Layout
    name: str
    user: str
    address: str
    port: int
    files: Mapping[str, str]
    tools: str
    tls: Tls | None = None
    changes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wanted_tools = hashlib.sha256(self.tools.encode()).hexdigest()[:12]

    @property
    @abc.abstractmethod
    def keeper(self) -> Keeper:
        """What keeps the instances running."""

    @property
    @abc.abstractmethod
    def quarters(self) -> Path:
        """The folder where the front has its admin socket."""

    @property
    def front(self) -> Connect:
        """The way in that the world has."""
        if self.tls:
            return over_tls(self.address, self.tls.port, self.tls.host)
        return over_tcp(self.address, self.port)

    @property
    def runtime(self) -> str:
        """What, besides artifact and environment, an instance is made of."""
        return ""

    @property
    def place(self) -> Path:
        """The root that it has on this host."""
        return self.layout.root

    def stays(self) -> None:
        """Refuse another root than it has, which would be left behind."""
        if self.place != self.layout.root:
            raise Refused(
                f"{self.name} is on this host in {self.place}, and service_root is"
                f" {self.layout.root}: give service_root {self.place} again; to move it, first take"
                " it away with that, by stop --remove, which takes its data along."
            )

    @abc.abstractmethod
    def check(self) -> None:
        """Refuse what cannot work on this host, before anything is touched."""

    @abc.abstractmethod
    def up(self, lock: Lock) -> None:
        """Make everything as it should be, and leave alone what is."""

    @abc.abstractmethod
    def runs(self) -> bool:
        """Tell whether anything of ours runs."""

    @abc.abstractmethod
    def down(self) -> None:
        """Stop all that runs."""

    def is_there(self) -> bool:
        """Tell whether anything of it is on the host."""
        return self.layout.root.exists() or self.runs()

    def vanish(self) -> None:
        """Stop all that runs, and leave nothing of it on the host."""
        self.down()
        # Last, for it tells the next run that there is something to end.
        discard(self.layout.root)

    def missing(self) -> list[str]:
        """Return what is not as it should be."""
        found = [name for name, text in self.files.items() if not holds(self.path(name), text)]
        found += self.tls.wrong(self.layout.root) if self.tls else []
        return found if self.has_tools() else [*found, "tools"]

    def diffs(self) -> list[dict[str, str]]:
        """Return the files that are not as they should be, before and after."""
        found = []
        for name, text in sorted(self.files.items()):
            path = self.path(name)
            mode = mode_of(path)
            # Rights are shown where they are wrong.
            rights = "" if mode in (None, 0o644) else f"mode: {mode:o}\n"
            diff = {"before_header": name, "before": rights + read(path), "after": text}
            found += [] if holds(path, text) else [diff]
        return found

    def path(self, name: str) -> Path:
        """Return where a file of ours is."""
        return self.layout.root / name

    def has_tools(self) -> bool:
        """Tell whether the tools are those that the lock names."""
        current = self.layout.root / "tools/current"
        return (current / "complete").exists() and current.resolve().name == self.wanted_tools

    def install_tools(self, lock: Lock) -> None:
        """Install the tools beside those that run; a name says which are current."""
        if self.has_tools():
            return
        folder = self.layout.root / "tools" / self.wanted_tools
        if not (folder / "complete").exists():
            make_venv(folder, {"tools.txt": self.tools}, lock, self.layout.uv)
            write(folder / "complete", "")
        draft = folder.with_name(".current.new")
        draft.unlink(missing_ok=True)
        draft.symlink_to(folder.name)
        draft.rename(folder.with_name("current"))
        self.changes.append("tools")

    def front_answers(self) -> bool:
        """Tell whether the front has taken its configuration."""
        return self.ask("GET", "/config/")[0] == 200

    def reload(self, text: str) -> None:
        """Give Caddy another configuration; it takes it and loses no request, or keeps its own."""
        with self.parting():
            status, answer = self.ask("POST", "/load", text)
        if status != 200:
            raise Refused(f"Caddy refuses its new Caddyfile: {answer.strip()[:500]}.")

    @contextlib.contextmanager
    def parting(self) -> Iterator[None]:
        """Let the front ask everybody not to keep connections, for those it keeps it must cut."""
        sign = self.quarters / "ending"
        sign.touch()
        try:
            time.sleep(PARTING_SECONDS)
            yield
        finally:
            # A front that ended may have taken its folder along.
            sign.unlink(missing_ok=True)

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        """Ask Caddy's admin interface."""
        try:
            status, text = ask(
                over_unix(self.quarters / "admin.sock"), method, path, 30.0, body, "text/caddyfile"
            )
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        return status, text.decode(errors="replace")

    @staticmethod
    def wait(condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for something to become true; tell whether it did."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True
