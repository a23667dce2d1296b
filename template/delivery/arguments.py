"""The command line: every command, and what it takes."""

from __future__ import annotations

import argparse
from pathlib import Path

from .board import DAYS, PORT, ROWS


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(
        prog="python3 -m delivery",
        description="Deliver this project, and remember what happened to every artifact.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong use, 3 refused by a gate, 130 interrupted.",
    )
    sub = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    way = sub.add_parser("walk", help="walk the commit through every stage, from where it stopped")
    way.add_argument("--from", dest="first", metavar="STAGE", help="again from this stage on")
    way.add_argument("--to", dest="last", metavar="STAGE", help="no further than this stage")
    way.add_argument("--only", action="append", metavar="STAGE", help="only this, again; repeat it")
    way.add_argument("--jobs", type=int, metavar="N", help="stages at a time; default: the cores")
    way.add_argument("--strict-budgets", action="store_true", help="over its budget is red, too")
    way.add_argument("--dry-run", action="store_true", help="tell what would run, and why")
    run = sub.add_parser("run", help="run one stage for the commit, if its gate lets it")
    run.add_argument("stage", metavar="STAGE")
    now = sub.add_parser("status", help="what each environment runs, since when, and what is next")
    log = sub.add_parser("log", help="the newest events, newest first")
    log.add_argument("name", nargs="?", metavar="ENV|VERSION|SHA", help="only those about this")
    log.add_argument("-n", type=int, default=20, metavar="COUNT", dest="limit")
    between = sub.add_parser("diff", help="the commits between two environments; status 1 if any")
    between.add_argument("environment", metavar="ENV")
    between.add_argument("other", metavar="ENV")
    dora = sub.add_parser("metrics", help="lead time, frequency, failure rate, time to restore")
    dora.add_argument("environment", nargs="?", metavar="ENV", help="default: the last one")
    dora.add_argument("--days", type=int, default=DAYS, help="how far back; default: %(default)s")
    wall = sub.add_parser("board", help="versions by stages: here, as a page, or on a wall screen")
    wall.add_argument("-n", type=int, default=ROWS, metavar="COUNT", dest="limit")
    either = wall.add_mutually_exclusive_group()
    either.add_argument("--html", type=Path, metavar="FILE", help="write it as one page")
    either.add_argument(
        "--serve",
        type=int,
        nargs="?",
        const=PORT,
        metavar="PORT",
        help="show it in browsers, always fresh; default: %(const)s",
    )
    wall.add_argument(
        "--bind",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where --serve listens; default: %(default)s",
    )
    for question in (now, log, between, dora, wall):
        question.add_argument("--json", action="store_true", help="for scripts")
    deploy = sub.add_parser("deploy", help="make an artifact live in an environment")
    deploy.add_argument("environment", metavar="ENV")
    deploy.add_argument("artifact", nargs="?", metavar="VERSION", help="default: the commit's own")
    deploy.add_argument("--force", action="store_true", help="overrule the gate; needs --reason")
    deploy.add_argument("--reason", metavar="TEXT", help="why; the ledger keeps it")
    back = sub.add_parser("rollback", help="make the release before the live one live again")
    back.add_argument("environment", metavar="ENV")
    back.add_argument(
        "--to", dest="artifact", metavar="VERSION", help="a release that was live before"
    )
    back.add_argument(
        "--force", action="store_true", help="to a revoked one, or amid a rollout; needs --reason"
    )
    back.add_argument("--reason", metavar="TEXT", help="why; the ledger keeps it")
    approve = sub.add_parser("approve", help="let an artifact into an environment that asks for it")
    own = "or the beginning of a hash; default: the commit's own"
    approve.add_argument("artifact", nargs="?", metavar="VERSION", help=own)
    approve.add_argument("--environment", metavar="ENV", help="default: the one that asks")
    approve.add_argument("--reason", metavar="TEXT", help="why; the ledger keeps it")
    revoke = sub.add_parser("revoke", help="stop an artifact everywhere")
    revoke.add_argument("artifact", metavar="VERSION", help="or the beginning of a hash")
    revoke.add_argument("--reason", metavar="TEXT", help="why; the ledger keeps it")
    why = sub.add_parser("why", help="which rule holds an artifact back; status 3 if one does")
    why.add_argument("artifact", metavar="VERSION", help="or the beginning of a hash")
    why.add_argument("environment", nargs="?", metavar="ENV", help="default: all")
    why.add_argument("--json", action="store_true", help="for scripts")
    sub.add_parser("sync", help="bring this ledger and the remote's together")
    proof = sub.add_parser("verify", help="look for what was changed in the ledger, or is missing")
    proof.add_argument("--json", action="store_true", help="for scripts")
    ask = "ask every host, instead, whether it runs what the ledger says"
    proof.add_argument("--hosts", action="store_true", help=ask)
    bundle = sub.add_parser("export", help="all that happened to an artifact: an in-toto bundle")
    bundle.add_argument("artifact", nargs="?", metavar="VERSION", help="printed")
    bundle.add_argument("--all", type=Path, metavar="FOLDER", help="a file for every artifact")
    bundle.add_argument("--json", action="store_true", help="one list, not a statement a line")
    restore = sub.add_parser("restore", help="bring new or lost hosts to what the others run")
    restore.add_argument("environment", metavar="ENV")
    stop = sub.add_parser("stop", help="stop the service in environments on this machine")
    stop.add_argument("environments", nargs="*", metavar="ENV", help="default: all")
    stop.add_argument("--remove", action="store_true", help="leave nothing of it, no data either")
    files = sub.add_parser("ci", help="say whether the CI files say what delivery.toml says")
    either = files.add_mutually_exclusive_group()
    either.add_argument("--check", action="store_true", help="that, which is the default")
    either.add_argument("--write", action="store_true", help="render them anew between their marks")
    either.add_argument("--start", action="store_true", help="start Buildbot on this machine")
    either.add_argument("--stop", action="store_true", help="stop it")
    either.add_argument("--admit", metavar="NAME", help="give somebody a password for Buildbot")
    template_ = sub.add_parser("template", help="which version of its template the project has")
    either = template_.add_mutually_exclusive_group()
    either.add_argument("--update", action="store_true", help="bring it to the newest")
    pushed = "push that as the branch template-update; default: to origin"
    either.add_argument("--branch", nargs="?", const="origin", metavar="REMOTE", help=pushed)
    lock = sub.add_parser("lock", help="renew the locks of pyproject.toml; show what changed")
    lock.add_argument("--upgrade", action="store_true", help="to the newest versions, all of them")
    lock.add_argument(
        "--upgrade-package", action="append", default=[], metavar="NAME", help="only that one"
    )
    lock.add_argument(
        "--cool-off", type=float, metavar="DAYS", help="take no release that is younger"
    )
    sub.add_parser("build", help="(in tox) build the artifact of the commit")
    sub.add_parser("inspect", help="(in tox) see that what is installed is what the SBOM names")
    secure = sub.add_parser("security", help="(in tox) look for secrets and vulnerabilities")
    secure.add_argument("--required", action="store_true", help="red, too, if nobody can be asked")
    sub.add_parser("publish", help="(in tox) put the artifact into the index")
    prune = sub.add_parser("prune", help="what of the index may go: old, without a tag, not live")
    prune.add_argument("--remove", action="store_true", help="take it away; the ledger keeps it")
    install = sub.add_parser("install", help="install the artifact from the index, afresh")
    install.add_argument("folder", type=Path, metavar="FOLDER")
    fetch = sub.add_parser("fetch", help="put what a release is made of into an empty folder")
    fetch.add_argument("folder", type=Path, metavar="FOLDER")
    fetch.add_argument("artifact", nargs="?", metavar="VERSION", help=own)
    sub.add_parser("performance", help="(in exec) ask what is deployed, compare with the limits")
    execute = sub.add_parser("exec", help="run a command told what is under test in an environment")
    execute.add_argument("environment", metavar="ENV")
    execute.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return top
