"""``python -m delivery``: read the command line, call, turn errors into a sentence."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import answers, board, commands, pipeline, security, tools, view
from .errors import DeliveryError, UsageError
from .project import Project


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(
        prog="python -m delivery",
        description="Deliver this project, and remember what happened to every artifact.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong use, 3 refused by a gate, 130 interrupted.",
    )
    sub = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sub.add_parser("walk", help="walk the commit through every stage, from where it stopped")
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
    dora.add_argument(
        "--days", type=int, default=board.DAYS, help="how far back; default: %(default)s"
    )
    wall = sub.add_parser("board", help="versions by stages: here, as a page, or on a wall screen")
    wall.add_argument("-n", type=int, default=board.ROWS, metavar="COUNT", dest="limit")
    wall.add_argument("--html", type=Path, metavar="FILE", help="write it as one page")
    wall.add_argument(
        "--serve",
        type=int,
        nargs="?",
        const=board.PORT,
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
    back.add_argument("--reason", metavar="TEXT", help="why; the ledger keeps it")
    stop = sub.add_parser("stop", help="stop the service in environments on this machine")
    stop.add_argument("environments", nargs="*", metavar="ENV", help="default: all")
    template_ = sub.add_parser("template", help="which version of its template the project has")
    template_.add_argument("--update", action="store_true", help="bring it to the newest")
    sub.add_parser("build", help="(in tox) build the artifact of the commit")
    secure = sub.add_parser("security", help="(in tox) look for secrets and vulnerabilities")
    secure.add_argument("--required", action="store_true", help="red, too, if nobody can be asked")
    sub.add_parser("publish", help="(in tox) put the artifact into the index")
    install = sub.add_parser("install", help="install the artifact from the index, afresh")
    install.add_argument("folder", type=Path, metavar="FOLDER")
    execute = sub.add_parser("exec", help="run a command told what is under test in an environment")
    execute.add_argument("environment", metavar="ENV")
    execute.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return top


def dispatch(project: Project, args: argparse.Namespace) -> int:
    """Do what the command line asks for; return the exit status."""
    if args.command == "walk":
        return 0 if pipeline.walk(project) else 1
    if args.command == "run":
        if args.stage not in project.config.stages:
            raise UsageError(
                f"no stage {args.stage!r} (delivery.toml has: {', '.join(project.config.stages)})"
            )
        return 0 if pipeline.run(project, project.config.stages[args.stage]) else 1
    if args.command in ("deploy", "rollback", "stop"):
        if not project.config.environments:
            raise UsageError("no stage in delivery.toml has an environment: nothing is deployed")
        if tools.ansible_playbook() is None:
            return _with_ansible(project, args)
    match args.command:
        case "status":
            return answers.status(project, args.json)
        case "log":
            return answers.log(project, args.name, args.limit, args.json)
        case "diff":
            return answers.diff(project, args.environment, args.other, args.json)
        case "metrics":
            return answers.measure(project, args.environment, args.days, args.json)
        case "board":
            from . import serve  # nothing else needs a web server, and many ask often

            return serve.board(project, args.limit, args.json, args.html, args.serve, args.bind)
        case "template":
            commands.template(project, args.update)
        case "build":
            commands.build(project)
        case "security":
            security.secrets(project.git)
            security.audit(project.git, args.required)
        case "publish":
            commands.publish(project)
        case "install":
            commands.install(project, args.folder)
        case "deploy":
            commands.deploy(project, args.environment, args.artifact, args.force, args.reason)
        case "rollback":
            commands.rollback(project, args.environment, args.artifact, args.reason)
        case "stop":
            commands.stop(project, args.environments or list(project.config.environments))
        case "exec":
            command = args.arguments[1:] if args.arguments[:1] == ["--"] else args.arguments
            if not command:
                raise UsageError("exec needs a command: python -m delivery exec ENV -- COMMAND")
            return commands.execute(project, args.environment, command)
    return 0


def _with_ansible(project: Project, args: argparse.Namespace) -> int:
    """Run this very command again inside the tox environment that has Ansible."""
    names = [args.environment] if "environment" in args else args.environments
    stages = [project.config.stage_of(name) for name in names or project.config.environments]
    return tools.inside(project.config.root, stages[-1].name, sys.argv[1:])


def main() -> int:
    """Run the command line; return the exit status (see ``--help``)."""
    view.settle()
    args = parser().parse_args()
    try:
        if args.command == "deploy" and args.force and not args.reason:
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
