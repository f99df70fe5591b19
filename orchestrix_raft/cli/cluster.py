"""Commands about the cluster as a whole: `cluster add / remove / transfer / events`.

`draining.py` has those that hand over, `backups.py` those about its data.
"""

from typing import Annotated

import typer

from orchestrix_raft import ClusterStatus, OrchestrixError
from orchestrix_raft.cli import backups, draining, events, options, output
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.wire.endpoint import parse_servers

app = typer.Typer(help="Steer the cluster.", no_args_is_help=True, rich_markup_mode=None)
app.command("events")(events.events)


@app.callback()
def _servers(context: typer.Context, servers: options.Servers = None) -> None:
    options.remember_servers(context, servers)


def _address(text: str) -> None:
    """ValueError unless it is the address of one node."""
    if "," in options.given(text):
        raise ValueError("one node is added at a time: name one address")
    parse_servers(text)


@app.command()
def add(
    context: typer.Context,
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDR",
            help="HOST:PORT of the API of a node started with --join.",
            callback=options.checked(_address),
        ),
    ],
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Let the cluster add the node that waits at ADDR.

    A node that is started with --join asks for that by itself; this is for one that asks in vain.
    """
    with options.connect(context, servers) as client:
        added = client.cluster.add(address)
    if as_json:
        output.document(added)
    elif added.already:
        output.line(f"node {added.node_id} at {address} is a member already")
    else:
        output.line(
            f"node {added.node_id} at {address} is a learner: it receives the log, and gets a vote when it "
            "has caught up; `status` shows how far it is"
        )


@app.command()
def remove(
    context: typer.Context,
    node_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The member to remove, dead or alive.",
            callback=options.checked(options.given),
        ),
    ],
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Remove a member for good.

    What its workers run goes on at other nodes. The leader hands over first; a node that runs learns of its
    removal and ends. It is refused when the voters that remain would be no quorum.
    """
    with options.connect(context, servers) as client:
        client.cluster.remove(node_id)
    if as_json:
        output.document({"removed": node_id})
    else:
        output.line(f"node {node_id} is no member any more")


@app.command()
def transfer(
    context: typer.Context,
    node_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="The node to lead next; left out: the best follower.",
            callback=options.checked(options.not_empty),
        ),
    ] = None,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Ask the leader to hand over leadership."""
    with options.connect(context, servers) as client:
        try:
            target = client.transfer_leadership(node_id or "")
        except OrchestrixError as error:
            if error.reason == "TRANSFER_REFUSED":
                _explain(client.status(), node_id)
            raise
    if as_json:
        output.document({"target": target})
    else:
        output.line(f"leadership goes to {target}")


def _explain(status: ClusterStatus, node_id: str | None) -> None:
    """Failure if the cluster's members say why that node, or any, cannot be the next leader."""
    members = [node.node_id for node in status.nodes]
    if node_id and status.leader == node_id:
        raise Failure(f"nothing to do: {node_id} is the leader already")
    if not node_id and members == [status.leader]:
        raise Failure(f"there is no other node to lead: {status.leader} is the only member")
    if node_id and node_id not in members:
        raise Failure(f"there is no node {node_id!r}: the members are {', '.join(members)}")


for command in (
    draining.drain,
    draining.undrain,
    backups.backup,
    backups.restore,
    backups.recover,
    backups.verify,
):
    app.command()(command)
