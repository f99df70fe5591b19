"""The commands by name: what the program's help lists, and where each one is once somebody types it.

A command's module is imported when the command is used, so that `--help`, or a short command, does not wait
for what only a node needs.  The lines of help stand here for the same reason; a test compares them with
those of the commands.
"""

import importlib
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperGroup

from orchestrix_raft.cli import options


class Entry(NamedTuple):
    """`place`: MODULE:NAME of a function, or of a Typer with the commands of a group."""

    place: str
    help: str


COMMANDS: Final = {
    "node": Entry("node:node", "Run a coordinator node until SIGTERM or Ctrl-C."),
    "dev": Entry("dev:dev", "Start one node and an example worker, to try things out; Ctrl-C ends both."),
    "status": Entry("status:status", "Show the leader, the members, jobs by state, queues and workers."),
    "enqueue": Entry("enqueue:enqueue", "Put a job into a queue and print its id."),
    "worker": Entry(
        "workers:worker", "Run the Worker object NAME of MODULE until SIGTERM or Ctrl-C, then drain."
    ),
    "jobs": Entry("jobs:app", "Look at jobs and steer them."),
    "schedules": Entry("schedules:app", "Make schedules, look at them and steer them."),
    "queues": Entry("queues:app", "Pause, limit and look at queues."),
    "workers": Entry("workers:app", "Look at worker processes."),
    "cluster": Entry("cluster:app", "Steer the cluster."),
    "check-history": Entry(
        "check_history:check_history",
        "Check a recorded history: could a correct cluster have answered like this?",
    ),
}
"""In the order of the help."""


class Commands(TyperGroup):
    """The program's group: its commands are those of the table, made when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; None if there is none."""
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            self.commands[cmd_name] = load(cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """typer looks for near misses of a wrong name among the names of the commands that are made."""
        if args[0] not in COMMANDS:
            names: Any = dict.fromkeys(COMMANDS)
            self.commands = names
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def load(name: str) -> Any:
    """The command of that name, with the options that all commands of a client understand."""
    module, _, attribute = COMMANDS[name].place.partition(":")
    found = getattr(importlib.import_module(f"orchestrix_raft.cli.{module}"), attribute)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    command: Any
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
        command = typer.main.get_group(alone).commands[name]
    else:
        alone.command(name)(found)
        command = typer.main.get_command(alone)
    _add_tls_options(command)
    return command


def _add_tls_options(command: Any) -> None:
    """Whoever can be told the servers can be told the TLS files, here or before the command's name."""
    if any(parameter.name == "servers" for parameter in command.params):
        command.params += options.tls_parameters()
    for child in getattr(command, "commands", {}).values():
        _add_tls_options(child)
