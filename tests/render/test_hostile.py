"""Answers that would break a careless template: kept as they are, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.render import files
from tests.render.conftest import Render

HOSTILE = [
    """a "double" and a 'single' quote""",
    '''three """ and three \'\'\' of them''',
    "back\\slash \\n \\u0041 \\",
    "{{ 7 * 7 }} {{ project_name }}",
    "{% raw %} {% endraw %} {% if x %} {# note #}",
    "# no comment",
    "- no list: no map",
    ": no value",
    "Größe, naïve, 日本語, עברית, 🚀𝒳",
    "&amp; <b>bold</b> </script> ]]> <!--",
    "$HOME `id` $(id) %s %(name)s %{x} ${{ github.token }}",
    "*bold* _it_ [link](x) ![i](y) | cell | ~~no~~",
    "null",
    "300 characters: " + 284 * "x",
    "no\u00a0break and \u200b nothing",
]
CONTROLS = ["two\nlines", "a\ttab", "nul\x00", "next\x85line", "line\u2028end", "delete\x7f"]
BAD_LINES = ["", "   ", *CONTROLS, 401 * "x"]
BAD_NAMES = {
    "class": "Python keyword",
    "None": "Python keyword",
    "1x": "begin with a letter",
    "": "begin with a letter",
    " ": "begin with a letter",
    "trailing ": "single spaces",
    "two\nlines": "single spaces",
    "über": "ASCII letters",
    "a/b": "ASCII letters",
    "../up": "ASCII letters",
    "x" * 41: "at most 40",
    "Calendar": "hide Python's own",
    "Delivery": "the project needs",
    "Print": "hide Python's own",
    "Lpt1": "no folder on Windows",
    "Python Json Logger": "the project needs",
    "Python": "the project needs",
    "Activate": "the project needs",
}
BAD_IMPORTS = [
    "acme.class",
    "acme.",
    ".acme",
    "acme..billing",
    "Acme",
    "json.more",
    "con.sole",
    "list",
    "acme.build",
    "dist",
    "sphinxcontrib",
    "annotationlib",
]
BAD_URLS = [
    *("x", "ftp://a.b/c", "https://", "https://a b/c", "https://a.b", "https://a.b/c\nd"),
    *("https://x.org:99999/a", "https://x.org:0/a", "https://x.org:/a"),
    *("https://-/x", "https://a-.org/x", "https://a/..", "https://a/./b"),
]
BAD_EMAILS = [
    *("ada", "ada@", "@example.org", "ada@example", "a da@b.org", "a@b.org\n", "a@b@c.d"),
    *("a..b@example.org", "a.@example.org", ".a@example.org", "a@b..org", "a@-b.org", "a@b-.org"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_arrives_as_it_is(render: Render, text: str) -> None:
    project = render(description=text, author_name=text, without=["/delivery"])
    files.parse(project)
    config = files.toml(project)["project"]
    assert config["description"] == text
    assert config["authors"][0]["name"] == text
    noted = files.answers(project)
    assert (noted["description"], noted["author_name"]) == (text, text)
    assert f"Copyright (c) {text}\n" in (project / "LICENSE").read_text(encoding="utf-8")
    readme = (project / "README.md").read_text(encoding="utf-8").splitlines()
    shown = [files.markdown(line) for line in readme]
    assert f"What it is for: {text}" in shown


def test_no_other_file_depends_on_free_text(render: Render, default: Path) -> None:
    project = render(description="needle in a haystack", author_name="needle in a haystack")
    other = {
        name
        for name in files.names(project)
        if (project / name).read_bytes() != (default / name).read_bytes()
    }
    assert other == {".copier-answers.yml", "LICENSE", "README.md", "pyproject.toml"}


def refused(render: Render, folder: Path, **answers: object) -> str:
    """Copy, see it refused and nothing written; return what was said."""
    target = folder / "project"
    with pytest.raises(ValueError) as error:
        render(target, **answers)
    assert not target.exists()
    return str(error.value)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_name(render: Render, tmp_path: Path, name: str) -> None:
    said = refused(render, tmp_path, project_name=name)
    assert "project_name" in said
    assert BAD_NAMES[name] in said


@pytest.mark.parametrize("question", ["description", "author_name"])
@pytest.mark.parametrize("text", BAD_LINES)
def test_bad_line(render: Render, tmp_path: Path, question: str, text: str) -> None:
    assert "one line" in refused(render, tmp_path, **{question: text})


@pytest.mark.parametrize("email", BAD_EMAILS)
def test_bad_email(render: Render, tmp_path: Path, email: str) -> None:
    assert "ada@example.org" in refused(render, tmp_path, author_email=email)


def test_good_addresses(render: Render) -> None:
    told = {
        "author_email": "ada+b.l%c_d-e@sub--x.example.org",
        "repository_url": "https://git.example.org:65535/~acme/.github/a..b/",
    }
    noted = files.answers(render(without=["/delivery"], **told))
    assert told.items() <= noted.items()


@pytest.mark.parametrize("name", BAD_IMPORTS)
def test_bad_import_name(render: Render, tmp_path: Path, name: str) -> None:
    assert "ackage" in refused(render, tmp_path, import_name=name)


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_repository(render: Render, tmp_path: Path, url: str) -> None:
    assert "https://github.com/acme/billing" in refused(render, tmp_path, repository_url=url)


@pytest.mark.parametrize(
    ("question", "value"),
    [("distribution_name", name) for name in ("Up", "a--b", "flask", "python", "django-admin")],
)
def test_bad_distribution(render: Render, tmp_path: Path, question: str, value: str) -> None:
    assert question in refused(render, tmp_path, **{question: value})


@pytest.mark.parametrize("name", ["python", "pip", "pytest", "tox", "activate", "django-admin"])
def test_command_that_is_there_already(render: Render, tmp_path: Path, name: str) -> None:
    assert "have already" in refused(render, tmp_path, kind="cli", command_name=name)


@pytest.mark.parametrize("name", ["", "Up", "a b", "nul", "-x", "a/b"])
def test_bad_command(render: Render, tmp_path: Path, name: str) -> None:
    assert "command_name" in refused(render, tmp_path, kind="cli", command_name=name)


def test_an_answer_that_nothing_asks_for_is_told(render: Render, tmp_path: Path) -> None:
    said = refused(render, tmp_path, projct_name="Typo", lintr="ruff")
    assert "Nothing asks for lintr, projct_name;" in said
    assert "project_name kind framework" in said


@pytest.mark.parametrize(
    ("kind", "question", "value", "said"),
    [
        ("library", "framework", "django", "a service has that; leave it out for a library"),
        ("cli", "environments", ["acceptance"], "a service has that; leave it out for a command"),
        ("library", "forms", ["oci"], "a service has that; leave it out for a library"),
        ("service", "command_name", "parcel", "a command has that; leave it out for a service"),
    ],
)
def test_an_answer_that_the_kind_has_no_use_for(
    render: Render, tmp_path: Path, kind: str, question: str, value: object, said: str
) -> None:
    assert said in refused(render, tmp_path, **{"kind": kind, question: value})


def test_acceptance_cannot_be_left_out(render: Render, tmp_path: Path) -> None:
    assert "Keep acceptance" in refused(render, tmp_path, environments=["production"])


@pytest.mark.parametrize(
    ("question", "value"),
    [("license", "WTFPL"), ("python_floor", "2.7"), ("ci", ["cron"]), ("kind", "app")],
)
def test_bad_choice(render: Render, tmp_path: Path, question: str, value: str) -> None:
    assert "nvalid choice" in refused(render, tmp_path, **{question: value})
