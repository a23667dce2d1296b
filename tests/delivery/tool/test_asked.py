"""verify --hosts: what each host says of itself, and what is drift."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import create_server
from threading import Thread
from typing import Any

import pytest
from delivery.environments import drift, playbooks

from .story import Story

OTHER = {"version": "0.9", "sha256": "b" * 64}


class Handler(BaseHTTPRequestHandler):
    """Answers as another release."""

    def do_GET(self) -> None:  # noqa: N802, the name the library calls
        """Answer /version."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(OTHER).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture()
def other() -> Iterator[str]:
    """Return where another release answers."""
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_hosts_say(
    story: Story, other: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"ok": True, "changed": True, "version": story.version, "sha256": story.about["sha256"]}
    told: dict[str, dict[str, Any]] = {
        "away": {"ok": False, "reason": "no route to host"},
        "dead": {**good, "url": "http://127.0.0.1:9"},
        "other": {**good, "url": other},
        "stopped": {**good, "changed": False},
        "strange": {"ok": True, **OTHER},
    }
    monkeypatch.setattr(playbooks, "look", lambda _, name: told if name == "production" else {})
    story.deploy("production")
    ledger = f", the ledger says {story.version}"
    wanted = {
        "away": "cannot be asked: no route to host",
        "dead": f"does not answer at http://127.0.0.1:9/version{ledger}",
        "other": f"answers as 0.9 at {other}{ledger}",
        "stopped": f"is stopped{ledger}",
        "strange": f"runs 0.9{ledger}",
    }
    assert not drift.verify(story.project, as_json=False)
    said = "".join(f"production: {host} {rest}\n" for host, rest in wanted.items())
    assert capsys.readouterr().out == said
    (found,) = story.project.ledger.events(event=("drift",))
    assert found.hosts == ("dead", "other", "stopped", "strange")

    assert not drift.verify(story.project, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert {row["host"]: row["says"] for row in rows} == wanted
    assert [row["host"] for row in rows if row["drift"]] == list(found.hosts)
    assert [row["host"] for row in rows if not row["asked"]] == ["away"]
    assert story.project.ledger.events(event=("drift",)) == [found]  # the same, once

    for host in list(told)[1:]:
        del told[host]
    assert not drift.verify(story.project, as_json=False)  # red, and no drift
    assert story.project.ledger.events(event=("drift",)) == [found]
    told.clear()
    assert drift.verify(story.project, as_json=False)


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", b""],
    ids=["another protocol", "half an answer", "nothing"],
)
def test_what_is_no_answer_of_a_release_is_none(said: bytes) -> None:
    with create_server(("127.0.0.1", 0)) as server:

        def once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(said)

        thread = Thread(target=once)
        thread.start()
        assert playbooks.answers(f"http://127.0.0.1:{server.getsockname()[1]}") is None
        thread.join()
