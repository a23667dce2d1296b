"""`python3 -m delivery template`: what it says, what it refuses, and conflicts nobody can miss."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cookiecutter.conftest import git
from tests.update.conftest import NEWEST, Begin, content, edit, release, save, take, update

NEXT = "v99.1.0"
Template = Callable[..., subprocess.CompletedProcess[str]]


def template(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a project."""
    return subprocess.run(
        [sys.executable, "-m", "delivery", "template", *options],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(begin: Begin, future: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the newest release, which has its Copier already."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tools))
    return begin(NEWEST, future)


@pytest.fixture(scope="module")
def tools(skeleton: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's Copier, as it makes it itself at the first call."""
    project = tmp_path_factory.mktemp("tools") / "project"
    take(skeleton, project, NEWEST, {})
    git(project, "init", "--quiet")
    save(project)
    cache = project.parent / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        done = template(project)
    assert done.returncode == 0, done.stderr
    assert "making the project's tools (copier), once" in done.stderr
    return cache


def test_nothing_new(project: Path, future: Path) -> None:
    before = content(project)
    for options in ([], ["--update"]):
        done = template(project, *options)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == (f"this project has 99.0.0 of {future}, and that is the newest\n")
    assert content(project) == before


def test_it_moved_and_the_update_is_taken(project: Path, future: Path) -> None:
    edit(future / "template", ".gitignore.jinja", "build/\n", "build/\ncache/\n")
    edit(
        future / "template",
        "pyproject.toml.jinja",
        "[dependency-groups]",
        "# New.\n[dependency-groups]",
    )
    release(future, NEXT)
    said = template(project)
    assert (said.returncode, said.stderr) == (0, "")
    assert "and 99.1.0 is out: python3 -m delivery template --update" in said.stdout

    (project / "notes").write_text("mine\n")
    refused = template(project, "--update")
    assert refused.returncode == 3
    assert "the work tree is dirty (notes): an update must stand apart" in refused.stderr

    save(project)
    done = template(project, "--update")
    assert done.returncode == 0, done.stderr
    assert "updated from 99.0.0 to 99.1.0, 3 files, no conflict" in done.stdout
    assert "python3 -m delivery lock" in done.stdout
    assert "cache/" in (project / ".gitignore").read_text()


def test_conflicts_are_named_and_nothing_is_lost(project: Path, future: Path) -> None:
    source = future / "template"
    edit(source, "tox.toml.jinja", '"DELIVERY_*", ', '"DELIVERY_*", "FORCE_COLOR", ')
    edit(source, "delivery.toml.jinja", "budget = 3\n", "budget = 4\n")
    (source / "renovate.json").write_text('{"theirs": true}\n')
    shutil.rmtree(source / "delivery" / "plugins")
    (source / "delivery" / "ansible.cfg").unlink()
    (source / "delivery" / "rollback.yml").unlink()
    release(future, NEXT)
    edit(project, "tox.toml", '"DELIVERY_*", ', '"DELIVERY_*", "PARCEL_*", ')
    edit(project, "delivery.toml", "budget = 15", "budget = 20")
    (project / "renovate.json").write_text('{"ours": true}\n')
    with (project / "delivery" / "ansible.cfg").open("a") as file:
        file.write("# ours\n")
    (project / "delivery" / "plugins" / "ours.py").write_text("# ours\n")
    save(project)

    done = template(project, "--update")

    assert done.returncode == 1
    told = done.stderr.splitlines()
    assert told[0] == "delivery: updated to v99.1.0 with conflicts, which only you can solve:"
    assert told[1:] == [
        "  delivery/ansible.cfg: the template removed it, and you had changed it: yours is kept",
        "  renovate.json: look for <<<<<<< (1 place)",
        "  tox.toml: look for <<<<<<< (1 place)",
    ]
    unmerged = git(project, "ls-files", "--unmerged")
    assert {line.split("\t")[1] for line in unmerged.splitlines()} == {"renovate.json", "tox.toml"}
    text = (project / "tox.toml").read_text()
    assert "PARCEL_*" in text and "FORCE_COLOR" in text
    text = (project / "renovate.json").read_text()
    assert "ours" in text and "theirs" in text
    assert (project / "delivery" / "ansible.cfg").read_text().endswith("# ours\n")
    assert [path.name for path in (project / "delivery" / "plugins").rglob("*.py")] == ["ours.py"]
    assert not (project / "delivery" / "rollback.yml").exists()
    merged = (project / "delivery.toml").read_text()
    assert "budget = 4" in merged and "budget = 20" in merged
    assert not list(project.rglob("*.rej"))


def released_workflow(future: Path) -> None:
    """Release a template whose workflow runs stages by another line."""
    [source] = future.glob("template/*/workflows/delivery.yml.jinja")
    for path in (source, future / "template/delivery/ci/github.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(
            text.replace("run: python3 -m delivery run", "run: exec python3 -m delivery run")
        )
    release(future, NEXT)


def test_a_ci_file_in_conflict_is_rendered_from_what_both_say(project: Path, future: Path) -> None:
    workflow = ".github/workflows/delivery.yml"
    released_workflow(future)
    edit(
        project,
        "delivery.toml",
        "[stages.production]\n",
        '[stages.production]\nsecrets = ["OURS"]\n',
    )
    subprocess.run([sys.executable, "-m", "delivery", "ci", "--write"], cwd=project, check=True)
    with (project / workflow).open("a") as file:
        file.write("  weigh:\n    runs-on: ubuntu-latest\n    steps: [{run: date}]\n")
    save(project)
    ours = git(project, "rev-parse", "HEAD")

    done = template(project, "--update")

    assert (done.returncode, done.stderr) == (0, "")
    text = (project / workflow).read_text()
    secret = "          OURS: ${{ secrets.OURS }}\n"
    assert secret + "        run: exec python3 -m delivery run production\n" in text
    assert text.endswith("    steps: [{run: date}]\n")
    assert git(project, "ls-files", "--unmerged") == ""
    # Copier alone, which does not know delivery.toml, leaves a conflict there.
    git(project, "reset", "--quiet", "--hard", ours.strip())
    update(project)
    assert "<<<<<<<" in (project / workflow).read_text()


def test_what_somebody_wrote_between_the_marks_stays_in_conflict(
    project: Path, future: Path
) -> None:
    workflow = ".github/workflows/delivery.yml"
    released_workflow(future)
    run = "run: python3 -m delivery run production\n"
    edit(project, workflow, run, f"env: {{OURS: ours}}\n        {run}")
    save(project)

    done = template(project, "--update")

    assert done.returncode == 1
    assert f"\n  {workflow}: look for <<<<<<< (1 place)" in done.stderr
    text = (project / workflow).read_text()
    assert "env: {OURS: ours}\n" in text
    assert "run: exec python3 -m delivery run lint" in text
    assert git(project, "ls-files", "--unmerged") != ""


def test_a_branch_has_the_update_and_its_conflicts(
    project: Path, future: Path, tmp_path: Path
) -> None:
    origin, branch = tmp_path / "origin.git", "template-update"
    git(project, "clone", "--quiet", "--bare", str(project), str(origin))
    git(project, "remote", "add", "origin", str(origin))
    said = template(project, "--branch")
    assert (said.returncode, said.stderr) == (0, "")
    assert git(origin, "for-each-ref", f"refs/heads/{branch}") == ""
    edit(future / "template", ".gitignore.jinja", "build/\n", "build/\ncache/\n")
    release(future, NEXT)

    said = template(project, "--branch")

    assert (said.returncode, said.stderr) == (0, "")
    told = f"2 files, no conflict\npushed to {branch} of origin\n"
    assert said.stdout == f"updated from 99.0.0 to 99.1.0, {told}"
    assert "cache/" in git(origin, "show", f"{branch}:.gitignore")
    edit(future / "template", "tox.toml.jinja", '"DELIVERY_*", ', '"DELIVERY_*", "FORCE_COLOR", ')
    release(future, "v99.2.0")
    edit(project, "tox.toml", '"DELIVERY_*", ', '"DELIVERY_*", "PARCEL_*", ')
    save(project)
    before, head = content(project), git(project, "rev-parse", "HEAD")
    said = template(project, "--branch")
    assert said.returncode == 1
    named = "with conflicts, which only you can solve:\n  tox.toml: look for <<<<<<< (1 place)"
    assert f"{named}\npushed to {branch} of origin\n" in said.stderr
    assert named in git(origin, "log", "-1", "--format=%b", branch)
    subject = git(origin, "log", "-1", "--format=%s", branch)
    assert subject.strip() == "Update the template: conflicts to solve"
    assert git(origin, "rev-parse", f"{branch}^") == head
    assert "<<<<<<< before updating\n" in git(origin, "show", f"{branch}:tox.toml")
    assert content(project) == before
    assert git(project, "status", "--porcelain") == ""

    git(project, "fetch", "--quiet", "origin", branch)
    git(project, "switch", "--quiet", "--detach", "FETCH_HEAD")
    git(project, "commit", "--quiet", "--allow-empty", "--message", "Solved")
    git(project, "push", "--quiet", "origin", f"HEAD:{branch}")
    git(project, "switch", "--quiet", "-")
    said = template(project, "--branch")
    assert said.returncode == 3
    assert f"{branch} has commits of theirs (ada@example.org): merge it or" in said.stderr
    assert git(origin, "log", "-1", "--format=%s", branch).strip() == "Solved"
    assert content(project) == before


def test_an_update_that_fails_changes_nothing(project: Path, future: Path) -> None:
    edit(future / "template", ".gitignore.jinja", "build/\n", "{{ nobody_knows }}\n")
    release(future, NEXT)
    before = content(project)
    done = template(project, "--update")
    assert done.returncode == 1
    assert "copier update failed, and changed nothing: " in done.stderr
    assert "'nobody_knows' is undefined" in done.stderr
    assert content(project) == before
    assert git(project, "status", "--porcelain") == ""


def test_a_template_without_releases_has_commits(future: Path, project: Path) -> None:
    git(future, "tag", "--delete", *git(future, "tag").split())
    edit(future / "template", ".gitignore.jinja", "build/\n", "build/\ncache/\n")
    git(future, "commit", "--quiet", "--all", "--message", "Move")
    done = template(project, "--update")
    assert "cache/" in (project / ".gitignore").read_text(), done


def test_a_project_that_does_not_say_where_it_came_from(project: Path) -> None:
    (project / ".copier-answers.yml").unlink()
    done = template(project)
    assert done.returncode == 2
    assert ".copier-answers.yml" in done.stderr


def test_a_template_that_is_not_there(project: Path, future: Path) -> None:
    future.rename(future.with_name("elsewhere"))
    done = template(project)
    assert done.returncode == 2
    assert f"the template is not at {future}: give .copier-answers.yml an address" in done.stderr
