"""Git objects, read by one ``git cat-file --batch`` for as many as are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import IO, NamedTuple, Self

from ..errors import DeliveryError
from ..git import Git

AT_ONCE = 400  # names asked before an answer is read: they have to fit into a pipe, unread


class Object(NamedTuple):
    """An object of git: its hash, its kind (``commit``, ``tree``, ``blob``), its content."""

    oid: str
    kind: str
    body: bytes


class Objects:
    """The objects of a repository, for as long as this is open (it is a context manager).

    Args:
        git: the repository.
    """

    def __init__(self, git: Git) -> None:
        self._git = git

    def __enter__(self) -> Self:
        self._process = self._git.start("cat-file", "--batch")
        assert self._process.stdin and self._process.stdout
        self._into: IO[bytes] = self._process.stdin
        self._out: IO[bytes] = self._process.stdout
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # With its standard output closed, it ends whether it has something left to say or not.
        self._process.communicate()

    def read(self, names: Iterable[str]) -> Iterator[Object | None]:
        """Yield each object, in order; None for one that is not here.

        Args:
            names: hashes, refs, or anything else that names one object to git.

        Raises:
            DeliveryError: git ended.
        """
        waiting = iter(names)
        while asked := list(islice(waiting, AT_ONCE)):
            yield from self._exchange(asked)

    def one(self, name: str) -> Object | None:
        """Return one object; None when it is not here."""
        return self._exchange([name])[0]

    def _exchange(self, names: list[str]) -> list[Object | None]:
        try:
            self._into.write("".join(f"{name}\n" for name in names).encode())
            self._into.flush()
            return [self._answer() for _ in names]
        except (OSError, ValueError):
            raise DeliveryError("git cat-file ended before it had answered: git fsck") from None

    def _answer(self) -> Object | None:
        head = self._out.readline()
        if head.endswith((b" missing\n", b" ambiguous\n")):
            return None
        oid, kind, size = head.decode().split()
        body = self._out.read(int(size) + 1)
        return Object(oid, kind, body[:-1])
