"""``python -m delivery``: read the command line, call, turn errors into a sentence."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import view
from .board import DAYS, PORT, ROWS
from .errors import DeliveryError, Refused, UsageError
from .project import Project


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(
        prog="python -m delivery",
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
    wall.add_argument("--html", type=Path, metavar="FILE", help="write it as one page")
    wall.add_argument(
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
    back.add_argument("--force", action="store_true", help="to a revoked one; needs --reason")
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
    either = proof.add_mutually_exclusive_group()
    either.add_argument("--json", action="store_true", help="for scripts")
    ask = "ask every host, instead, whether it runs what the ledger says"
    either.add_argument("--hosts", action="store_true", help=ask)
    bundle = sub.add_parser("export", help="all that happened to an artifact: an in-toto bundle")
    bundle.add_argument("artifact", nargs="?", metavar="VERSION", help="printed")
    bundle.add_argument("--all", type=Path, metavar="FOLDER", help="a file for every artifact")
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
    template_.add_argument("--update", action="store_true", help="bring it to the newest")
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
    sub.add_parser("performance", help="(in exec) ask what is deployed, compare with the limits")
    execute = sub.add_parser("exec", help="run a command told what is under test in an environment")
    execute.add_argument("environment", metavar="ENV")
    execute.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return top


def dispatch(project: Project, args: argparse.Namespace) -> int:
    """Do what the command line asks for; return the exit status."""
    if args.command in ("status", "log", "diff", "metrics", "board"):
        return _answer(project, args)
    from . import commands, security, tools
    from .artifact import retention
    from .environments import deployments, drift
    from .ledger import export, verify
    from .pipeline import decisions, rounds, walk

    if args.command == "walk":
        strict, only = args.strict_budgets, tuple(args.only or ())
        options = walk.Options(args.first, args.last, only, args.jobs, strict)
        if args.dry_run:
            return 0 if walk.foretell(project, options) else Refused.status
        return 0 if walk.walk(project, options) else 1
    if args.command == "run":
        return 0 if rounds.run(project, [project.config.stage(args.stage)]) else 1
    hosts = args.command == "verify" and args.hosts
    if hosts or args.command in ("deploy", "rollback", "restore", "stop"):
        if not project.config.environments:
            raise UsageError("no stage in delivery.toml has an environment: nothing is deployed")
        if tools.ansible_playbook() is None:
            return _with_ansible(project, args)
    match args.command:
        case "ci" if args.start or args.stop or args.admit:
            commands.buildbot(project, args.start, args.admit)
        case "ci":
            return commands.ci(project.config, args.write)
        case "template":
            commands.template(project, args.update)
        case "lock":
            newer = [f"--upgrade-package={name}" for name in args.upgrade_package]
            commands.lock(project, newer + ["--upgrade"] * args.upgrade, args.cool_off)
        case "build":
            commands.build(project)
        case "inspect":
            commands.inspect(project)
        case "security":
            security.fits(project.git)
            security.secrets(project.git)
            security.audit(project.git, args.required)
        case "publish":
            commands.publish(project)
        case "prune":
            retention.prune(project, args.remove)
        case "install":
            commands.install(project, args.folder)
        case "deploy":
            deployments.deploy(project, args.environment, args.artifact, args.force, args.reason)
        case "rollback":
            deployments.rollback(project, args.environment, args.artifact, args.force, args.reason)
        case "approve":
            decisions.approve(project, args.artifact, args.environment, args.reason)
        case "revoke":
            decisions.revoke(project, args.artifact, args.reason)
        case "why":
            return decisions.why(project, args.artifact, args.environment, args.json)
        case "sync":
            project.ledger.sync()
        case "verify" if args.hosts:
            return 0 if drift.verify(project) else 1
        case "verify":
            return verify.verify(project, args.json)
        case "export":
            export.export(project, args.artifact, args.all)
        case "restore":
            deployments.restore(project, args.environment)
        case "stop":
            deployments.stop(
                project, args.environments or list(project.config.environments), args.remove
            )
        case "performance":
            deployments.perform(project)
        case "exec":
            command = args.arguments[1:] if args.arguments[:1] == ["--"] else args.arguments
            if not command:
                raise UsageError("exec needs a command: python -m delivery exec ENV -- COMMAND")
            return deployments.execute(project, args.environment, command)
    return 0


def _answer(project: Project, args: argparse.Namespace) -> int:
    """Answer a question. They are asked often: each loads what it needs, and nothing else."""
    if args.command == "status":
        from .board import status

        return status.status(project, args.json)
    if args.command == "board":
        from .board import serve

        return serve.board(project, args.limit, args.json, args.html, args.serve, args.bind)
    from .board import answers

    if args.command == "log":
        return answers.log(project, args.name, args.limit, args.json)
    if args.command == "diff":
        return answers.diff(project, args.environment, args.other, args.json)
    return answers.measure(project, args.environment, args.days, args.json)


def _with_ansible(project: Project, args: argparse.Namespace) -> int:
    """Run this very command again inside the tox environment that has Ansible."""
    from . import tools

    one, some = vars(args).get("environment"), vars(args).get("environments")
    names = [one] if one else some
    stages = [project.config.stage_of(name) for name in names or project.config.environments]
    return tools.inside(project.config.root, stages[-1].name, sys.argv[1:])


def main() -> int:
    """Run the command line; return the exit status (see ``--help``)."""
    view.settle()
    args = parser().parse_args()
    try:
        if args.command == "stop" and args.remove and not args.environments:
            raise UsageError("--remove needs the name of the environment whose data it destroys")
        if args.command in ("deploy", "rollback") and args.force and not args.reason:
            raise UsageError("--force needs --reason: the ledger keeps it")
        project = Project.find(Path.cwd())
        if sys.version_info[:2] < project.config.python:
            floor = ".".join(map(str, project.config.python))
            raise UsageError(
                f"this project needs Python {floor} or newer: python{floor} -m delivery …"
            )
        return dispatch(project, args)
    except DeliveryError as error:
        print(f"delivery: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("delivery: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
