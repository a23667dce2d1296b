"""``python3 -m delivery``: call what the command line asks for, turn errors into a sentence."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import view
from .arguments import parser
from .errors import DeliveryError, Refused, UsageError
from .project import Project


def dispatch(project: Project, args: argparse.Namespace) -> int:
    """Do what the command line asks for; return the exit status."""
    if args.command in ("status", "log", "diff", "metrics", "board"):
        return _answer(project, args)
    if args.command == "run":  # by every job of a CI system, in a clone that has no byte code yet
        from .pipeline import rounds

        return 0 if rounds.run(project, [project.config.stage(args.stage)]) else 1
    from . import commands, security, tools
    from .artifact import retention
    from .environments import deployments, drift
    from .ledger import export, verify
    from .pipeline import decisions, walk

    if args.command == "walk":
        strict, only = args.strict_budgets, tuple(args.only or ())
        options = walk.Options(args.first, args.last, only, args.jobs, strict)
        if args.dry_run:
            return 0 if walk.foretell(project, options) else Refused.status
        return 0 if walk.walk(project, options) else 1
    place, hosts = project.config.environment, args.command == "verify" and args.hosts
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
            commands.template(project, args.update, args.branch)
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
        case "fetch":
            made = commands.fetch(project, args.folder, args.artifact)
            print(f"{made.version} is in {args.folder}: {made.wheel}, and what it needs")
        case "deploy":
            where, why = place(args.environment), args.reason
            deployments.deploy(project, where, args.artifact, args.force, why)
        case "rollback":
            where, why = place(args.environment), args.reason
            deployments.rollback(project, where, args.artifact, args.force, why)
        case "approve":
            decisions.approve(project, args.artifact, args.environment, args.reason)
        case "revoke":
            decisions.revoke(project, args.artifact, args.reason)
        case "why":
            return decisions.why(project, args.artifact, args.environment, args.json)
        case "sync":
            project.ledger.sync()
            if not project.config.remote:
                print("nothing else has this ledger: [ledger] in delivery.toml names no remote")
        case "verify" if args.hosts:
            return 0 if drift.verify(project, args.json) else 1
        case "verify":
            return verify.verify(project, args.json)
        case "export":
            export.export(project, args.artifact, args.all, args.json)
        case "restore":
            deployments.restore(project, place(args.environment))
        case "stop":
            names = args.environments or project.config.environments
            # What destroys data takes no short names.
            names = names if args.remove else map(place, names)
            deployments.stop(project, list(names), args.remove)
        case "performance":
            deployments.perform(project)
        case "exec":
            command = args.arguments[1:] if args.arguments[:1] == ["--"] else args.arguments
            if not command:
                raise UsageError("exec needs a command: python3 -m delivery exec ENV -- COMMAND")
            return deployments.execute(project, place(args.environment), command)
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
    places = [project.config.environment(name) for name in names or project.config.environments]
    stage = project.config.stage_of(places[-1])
    return tools.inside(project.config.root, stage.name, sys.argv[1:])


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
