"""The gates: what was accepted goes on, by the same code, and nothing older, revoked or undone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from delivery.errors import Refused

from .conftest import Toy
from .story import Story


def test_what_was_accepted_may_go_on(story: Story) -> None:
    assert story.held() == {}


def test_what_was_not_accepted_may_not(toy: Toy) -> None:
    story = Story(toy)
    assert "production takes only what passed load" in story.held()["needs"]


def test_a_needed_stage_counts_also_when_it_is_not_the_last_one(story: Story) -> None:
    story.tell("failed", "acceptance")
    assert "takes only what passed acceptance, and" in story.held()["needs"]
    assert "failed it" in story.held()["needs"]


def test_what_was_accepted_has_to_be_what_was_deployed_there_last(story: Story) -> None:
    story.deploy("acceptance")
    assert set(story.held()) == {"accepted"}
    assert "deployed there again since" in story.held()["accepted"]
    story.tell("passed", "acceptance")
    assert story.held() == {}


def test_another_artifact_in_acceptance_changes_nothing(story: Story) -> None:
    about = dict(story.about)
    story.commit()
    story.deploy("acceptance")
    story.about = about
    assert story.held() == {}


def test_it_is_deployed_by_the_code_that_was_accepted(story: Story) -> None:
    story.toy.write("delivery/deploy.yml", "# another way\n")
    assert "not committed" in story.held()["same-code"]
    story.toy.commit()
    said = story.held()["same-code"]
    assert "deployed to acceptance by other code or inventories" in said
    assert f"git checkout {story.about['commit'][:9]}" in said
    story.toy.git("checkout", "--quiet", "--detach", story.about["commit"])
    assert story.held() == {}


def test_a_deployment_by_code_that_nobody_committed_is_no_acceptance(toy: Toy) -> None:
    story = Story(toy)
    story.deploy("acceptance", code=None)
    story.tell("passed", "acceptance")
    story.tell("passed", "load")
    assert "not committed ones" in story.held()["same-code"]


def test_a_change_of_the_service_alone_is_no_other_code(story: Story) -> None:
    story.toy.commit(unit_py="pass\n")
    assert story.held() == {}


def test_nothing_older_than_what_is_live_goes_live(story: Story) -> None:
    older = dict(story.about)
    story.commit()
    story.accept()
    story.deploy("production")
    live, story.about = story.version, older
    said = story.held()["older"]
    assert f"is older than {live}, which is live in production" in said
    assert f"python3 -m delivery rollback production --to {older['version']}" in said


def test_what_comes_from_another_branch_is_not_older(story: Story) -> None:
    start = story.about["commit"]
    story.commit()
    story.accept()
    story.deploy("production")
    story.toy.git("checkout", "--quiet", "-b", "fix", start)
    story.commit()
    story.accept()
    assert story.held() == {}


def test_in_a_shallow_clone_the_ledger_tells_what_is_older(story: Story, tmp_path: Path) -> None:
    older = dict(story.about)
    story.commit()
    story.accept()
    story.deploy("production")
    story.toy.git("clone", "--quiet", "--depth=1", f"file://{story.toy.root}", str(tmp_path / "s"))
    refs = "refs/delivery/ledger:refs/delivery/ledger"
    shallow = replace(story.toy, root=tmp_path / "s")
    shallow.git("fetch", "--quiet", "origin", refs)
    story.toy = shallow
    assert "older" not in story.held()
    story.about = older
    assert "is older than" in story.held()["older"]


def test_an_older_artifact_may_go_back_to_acceptance(story: Story) -> None:
    older = dict(story.about)
    story.commit()
    story.accept()
    story.about = older
    assert story.held("acceptance") == {}


def test_what_was_rolled_back_stays_away(story: Story) -> None:
    story.deploy("production")
    story.tell("rolled-back", "production", environment="production", reason="it was slow")
    said = story.held()["rolled-back"]
    assert "was rolled back from production by" in said and "(it was slow)" in said
    assert "--force --reason" in said


def test_revoked_is_revoked_everywhere(story: Story) -> None:
    done = story.toy.delivery("revoke", story.version, "--reason", "it leaks")
    assert done.returncode == 0, done.stderr
    for stage in ("publish", "acceptance", "production"):
        assert f"{story.version} was revoked by" in story.held(stage)["revoked"]
        assert "(it leaks): commit a fix" in story.held(stage)["revoked"]
    assert story.held("lint") == {}


def test_a_revocation_says_where_the_artifact_is_live(story: Story) -> None:
    story.deploy("production")
    done = story.toy.delivery("revoke", story.version)
    assert "it is live in production: python3 -m delivery rollback production" in done.stdout


def test_nobody_rolls_back_to_what_was_revoked(story: Story) -> None:
    from delivery.environments import deployments

    story.toy.delivery("revoke", story.version)
    with pytest.raises(Refused, match="was revoked by"):
        deployments.rollback(story.project, "production", story.version, False, None)


def test_a_shut_gate_is_status_3_and_one_sentence(story: Story) -> None:
    story.toy.delivery("revoke", story.version)
    done = story.toy.delivery("run", "production")
    assert done.returncode == 3
    assert "was revoked by" in done.stderr and done.stderr.count("\n") == 1


def test_why_names_the_rule_for_each_environment(story: Story) -> None:
    story.deploy("acceptance")
    done = story.toy.delivery("why", story.version)
    assert done.returncode == 3
    live, held = done.stdout.splitlines()
    assert live.startswith(f"{story.version} in acceptance: live since ")
    assert "deployed there again since" in held
    told = json.loads(story.toy.delivery("why", story.version, "--json").stdout)
    assert [(row["live"], [rule["rule"] for rule in row["held"]]) for row in told] == [
        (True, []),
        (False, ["accepted"]),
    ]


def test_why_is_status_0_when_nothing_holds(story: Story) -> None:
    done = story.toy.delivery("why", story.version[:9], "production")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{story.version} in production: nothing holds it back\n"


def test_an_environment_may_be_named_by_its_beginning(story: Story) -> None:
    done = story.toy.delivery("why", story.version, "prod")
    assert done.stdout == f"{story.version} in production: nothing holds it back\n"
    story.tell("revoked", "everywhere")
    done = story.toy.delivery("deploy", "prod", story.version)
    assert done.returncode == 3
    assert "was revoked by" in done.stderr
    done = story.toy.delivery("exec", "acc", "--", "sh", "-c", "echo $SERVICE_VERSION")
    assert done.stdout == f"{story.version}\n"
    done = story.toy.delivery("stop", "prod", "--remove")  # what destroys data
    assert done.returncode == 2 and "no stage deploys to 'prod'" in done.stderr
    more = '\n[stages.proof]\nneeds = ["load"]\nenvironment = "proof"\nbudget = 5\n'
    story.toy.write("delivery.toml", (story.toy.root / "delivery.toml").read_text() + more)
    for words in (("why", story.version, "pro"), ("deploy", "pro"), ("diff", "pro", "acc")):
        done = story.toy.delivery(*words)
        assert done.returncode == 2
        assert done.stderr == "delivery: 'pro' is short for production and proof\n"


def test_why_without_an_environment_or_an_artifact_says_so(toy: Toy, story: Story) -> None:
    done = toy.delivery("why", "9.9")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no artifact that was built is called" in done.stderr
    assert toy.delivery("why", story.version, "moon").returncode == 2


def test_a_verdict_after_the_clock_was_set_back_still_is_the_last_one(story: Story) -> None:
    back = story.project.ledger.events()[-1].when - timedelta(seconds=60)
    story.tell("failed", "load", at=back.isoformat(timespec="microseconds"))
    assert "failed it" in story.held()["needs"]


def test_a_tool_that_is_asked_about_nothing_new_writes_nothing(story: Story) -> None:
    before = story.toy.git("rev-parse", "refs/delivery/ledger")
    story.toy.delivery("why", story.version)
    assert story.toy.git("rev-parse", "refs/delivery/ledger") == before


def test_what_was_deployed_again_since_is_rolled_back_no_more(story: Story) -> None:
    story.deploy("production")
    story.tell("rolled-back", "production", environment="production")
    assert set(story.held()) == {"rolled-back"}
    story.deploy("production", forced=True, reason="the cause was elsewhere")
    assert story.held() == {}


def test_a_rollback_from_one_environment_holds_nothing_back_from_another(story: Story) -> None:
    story.deploy("production")
    story.tell("rolled-back", "production", environment="production")
    assert story.held("acceptance") == {}


def test_it_is_deployed_by_the_inventory_that_was_accepted(story: Story) -> None:
    folder = story.toy.root / "delivery" / "inventories" / "production"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "more.yml").write_text("service:\n  vars:\n    service_keep: 9\n")
    story.toy.commit()
    assert "by other code or inventories" in story.held()["same-code"]
