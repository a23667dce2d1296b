"""A question may be dropped or renamed: projects that answered it still update."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from delivery.git import Git
from delivery.template import conflicts

from tests.update.conftest import RELEASES, Begin, content, fresh, merged, release, update

OLDEST, *_, LATEST = RELEASES
EMAIL = {"author_email": "ada@example.org"}


def rename(template: Path, default: str) -> None:
    """Release a template that asks for a contact where earlier ones asked for an e-mail."""
    for path in [template / "copier.yml", *(template / "template").glob("*.jinja")]:
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("author_email", "contact"), encoding="utf-8")
    path = template / "copier.yml"
    text = path.read_text(encoding="utf-8")
    former, question = (
        "former_answers:\n  when: false\n  type: str\n  default: ",
        "nothing.\n  default: ",
    )
    assert text.count(former) == text.count(question + '""\n  validator') == 1
    text = text.replace(former + '""', former + "author_email")
    text = text.replace(question + '""\n  validator', question + f"{default}\n  validator")
    path.write_text(text, encoding="utf-8")
    release(template, "v99.1.0")


@pytest.mark.parametrize("tag", [OLDEST, LATEST])
def test_a_dropped_question(future: Path, begin: Begin, tag: str) -> None:
    rename(future, '""')
    project = begin(tag, future, **EMAIL)
    update(project)
    assert not conflicts(Git(project))
    noted = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert "author_email" not in noted
    assert noted["contact"] == ""
    assert merged(content(project)) == merged(fresh(project, future, "v99.1.0"))


def test_a_renamed_question_takes_the_answer_along(future: Path, begin: Begin) -> None:
    rename(future, "\"{{ author_email | default('') }}\"")
    project = begin(OLDEST, future, **EMAIL)
    update(project)
    assert not conflicts(Git(project))
    noted = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert noted["contact"] == EMAIL["author_email"]
    assert "ada@example.org" in (project / "pyproject.toml").read_text(encoding="utf-8")
