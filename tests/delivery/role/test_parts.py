"""The parts that need no host: what the journal means, what a name may be, who is connected."""

from __future__ import annotations

import errno
import json
import os
import re
import runpy
from pathlib import Path

import jinja2
import pytest
import yaml
from service_host import files, journal, layout, processes, traffic
from service_host.errors import Refused
from service_host.journal import Entry

from .conftest import ROLE

DOCS = Path(__file__).parents[3] / "docs"


def lines(*runs: tuple[str, str, str]) -> list[str]:
    """Write a journal of runs: action, version, and how it ended."""
    found = []
    for number, (action, version, end) in enumerate(runs):
        entry = {"instance": f"i{version}", "version": version, "sha256": f"s{version}"}
        begin = {"event": "begin", "run": number, "action": action, "before": None, **entry}
        found.append(json.dumps(begin))
        if end:
            found.append(json.dumps({"event": "end", "run": number, "ok": end == "ok"}))
    return found


@pytest.mark.parametrize(
    ("runs", "stack", "versions"),
    [
        ([], "", ""),
        ([("deploy", "1", "ok")], "1", "1"),
        ([("deploy", "1", "ok"), ("deploy", "2", "ok")], "12", "12"),
        ([("deploy", "1", "ok"), ("deploy", "1", "ok")], "1", "1"),
        ([("deploy", "1", "ok"), ("deploy", "2", "failed")], "1", "21"),
        ([("deploy", "1", "ok"), ("deploy", "2", "")], "1", "21"),
        ([("stage", "1", "ok")], "", "1"),
        ([("deploy", v, "ok") for v in "123"] + [("rollback", "2", "ok")], "12", "132"),
        ([("deploy", v, "ok") for v in "123"] + [("rollback", "1", "ok")], "1", "231"),
        ([("deploy", v, "ok") for v in "121"] + [("rollback", "2", "ok")], "12", "12"),
        ([("deploy", v, "ok") for v in "12"] + [("rollback", "1", "failed")], "12", "12"),
        ([("deploy", "1", "ok"), ("withdraw", "1", "ok")], "", "1"),
        ([("deploy", "1", "ok"), ("withdraw", "1", "")], "1", "1"),
    ],
)
def test_journal_tells_who_was_live(
    runs: list[tuple[str, str, str]], stack: str, versions: str
) -> None:
    state = journal.replay(lines(*runs))
    assert "".join(entry.version for entry in state.stack) == stack
    assert "".join(state.versions) == versions


@pytest.mark.parametrize(
    ("live", "earlier"), [("ab", "a"), ("aab", "aa"), ("abb", "a"), ("aba", "b"), ("aa", ""), ("", "")]
)
def test_other_units_alone_make_no_release_before(
    tmp_path: Path, live: str, earlier: str
) -> None:
    diary = journal.Journal(tmp_path / "journal.jsonl", "ada")
    for number, settings in enumerate(live):
        diary.end(diary.begin("deploy", Entry(f"i{number}", "1", "s", settings), None))
    state = diary.state()
    assert len(state.stack) == len(live)
    assert "".join(entry.settings for entry in state.earlier) == earlier
    assert state.previous == (state.earlier[0] if earlier else None)


def test_journal_tells_what_is_open() -> None:
    begun = journal.replay(lines(("deploy", "1", "ok"), ("deploy", "2", ""))).begun
    assert begun
    assert (begun.action, begun.target.version) == ("deploy", "2")


@pytest.mark.parametrize("noise", ["", "{", "[]", "null", '{"event": "begin"}', "\x00\x00"])
def test_journal_survives_noise(noise: str) -> None:
    text = lines(("deploy", "1", "ok"))
    assert journal.replay([noise, text[0], noise, text[1], noise]) == journal.replay(text)


def test_journal_line_after_a_torn_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": "be')
    diary = journal.Journal(path, "ada")
    diary.end(diary.begin("deploy", Entry("i", "1", "s"), None))
    assert [entry.version for entry in diary.state().stack] == ["1"]


@pytest.mark.parametrize("version", ["", ".", "..", "../1", "1/2", "-1", "1 2", "1\n"])
def test_version_that_is_no_name_is_refused(version: str) -> None:
    with pytest.raises(Refused):
        layout.checked_version(version)


@pytest.mark.parametrize("root", ["relative", "/a*b", "/a[b]", "/a?b", "/a\nb", "/" + "é" * 41])
def test_root_that_cannot_work_is_refused(root: str) -> None:
    with pytest.raises(Refused):
        layout.layout(root)


@pytest.mark.parametrize("value", [True, None, [], {}, "a\0b"])
def test_environment_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(Refused, match="NAME"):
        layout.checked_environment({"NAME": value})


def test_environment_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(Refused, match="no mapping"):
        layout.checked_environment("NAME=value")


def test_instance_is_named_by_artifact_and_environment() -> None:
    names = [
        layout.instance_id("s", {}),
        layout.instance_id("t", {}),
        layout.instance_id("s", {"A": "1"}),
        layout.instance_id("s", {"A": "2"}),
    ]
    assert len(set(names)) == 4
    assert {len(name) for name in names} == {12}


def test_connections_are_counted_without_the_listener() -> None:
    table = b"""Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 20 /r o/t/run/a.sock
0000000000000000: 00000003 00000000 00000000 0001 03 21 /r o/t/run/a.sock
0000000000000000: 00000002 00000000 00000000 0001 02 0 /r o/t/run/a.sock
0000000000000000: 00000003 00000000 00000000 0001 03 22 /r o/t/run/b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 23
""".splitlines(keepends=True)
    assert traffic.busy(table, Path("/r o/t/run/a.sock")) == 2


def test_tail_hides_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("a\nthe word is open-sesame-now\n")
    hidden = ["open-sesame", "open-sesame-now"]
    assert files.tail(log, 1, hidden) == ["the word is ***"]


def test_file_is_whole_or_as_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write(path, "old", 0o600)
    with pytest.raises(UnicodeEncodeError):
        files.write(path, "new\udcff")
    assert path.read_text() == "old"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("drain", [5, 30, 90.4])
def test_nobody_is_killed_before_the_drain_is_over(drain: float) -> None:
    told = {"service_name": "tiny", "service_probe_seconds": 15, "service_drain_seconds": drain}
    told |= {"service_front_folder": "run", "service_front_handle": 0, "service_tls": "none"}
    folder = jinja2.FileSystemLoader(ROLE / "templates")
    ansibles = jinja2.Environment(loader=folder, trim_blocks=True)
    names = ("instance.service.j2", "front.service.j2", "front.conf.j2", "Caddyfile.j2")
    texts = [ansibles.get_template(name).render(told) for name in names]
    limits = r"^\s*(?:TimeoutStopSec=|stopwaitsecs=|grace_period )(\d+)s?$"
    found = [int(seconds) for text in texts for seconds in re.findall(limits, text, re.M)]
    assert found == [round(drain + 10)] * 3 + [round(drain)]


def test_every_default_is_described() -> None:
    files = (ROLE / "defaults/main.yml", ROLE / "meta/argument_specs.yml")
    defaults, told = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in files)
    assert set(defaults) <= set(told["argument_specs"]["main"]["options"])


def test_every_variable_is_in_the_page_of_them() -> None:
    settings = runpy.run_path(str(DOCS / "conf.py"))
    page = [(DOCS / "variables.rst").read_text(encoding="utf-8")]
    settings["role_variables"](None, "variables", page)
    entries = set(re.findall(r"^``(\w+)``$", page[0], re.M))
    for folder in settings["ROLES"].values():
        told = yaml.safe_load((folder / "meta/argument_specs.yml").read_text(encoding="utf-8"))
        assert set(told["argument_specs"]["main"]["options"]) <= entries
    assert {"service_port", "buildbot_index"} <= entries
    with pytest.raises(ValueError, match="variables.rst has no line '.. variables of service'"):
        settings["role_variables"](None, "variables", ["no mark"])


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("::", None, "service_address :: is no IPv4 address of this host (Address family"),
        ("192.0.2.1", None, "service_address 192.0.2.1 is no IPv4 address of this host (Cannot"),
        ("127.0.0.1", errno.EACCES, "Port 80 is for root alone, as those below 1024 are"),
        ("127.0.0.1", errno.EADDRINUSE, "Port 80 on 127.0.0.1 is taken by a process of another"),
    ],
)
def test_why_a_port_cannot_be_had_is_told(
    monkeypatch: pytest.MonkeyPatch, address: str, error: int | None, said: str
) -> None:
    monkeypatch.setattr(processes, "holders", lambda _: [])
    if error:
        monkeypatch.setattr(processes, "hindrance", lambda *_: OSError(error, os.strerror(error)))
    assert not processes.port_is_free(address, 80)
    assert processes.taken(address, 80, "service_port").startswith(said)
