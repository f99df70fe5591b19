"""Commands about the cluster's members: `cluster transfer`."""

from typing import Annotated

import typer

from orchestrix_raft import ClusterStatus
from orchestrix_raft.cli import options, output
from orchestrix_raft.cli.output import Failure

app = typer.Typer(help="Steer the cluster.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _servers(context: typer.Context, servers: options.Servers = None) -> None:
    options.remember_servers(context, servers)


@app.command()
def transfer(
    context: typer.Context,
    node_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The node to lead next; left out: the best follower.")
    ] = None,
    as_json: options.Json = False,
    servers: options.Servers = None,
) -> None:
    """Ask the leader to hand over leadership."""
    with options.connect(context, servers) as client:
        leader = _address_of_leader(client.status())
    with options.connect(context, leader) as client:
        target = client.transfer_leadership(node_id or "")
    if as_json:
        output.document({"target": target})
    else:
        output.line(f"leadership goes to {target}")


def _address_of_leader(status: ClusterStatus) -> str:
    """Only the leader can hand over; Failure where none is known."""
    for node in status.nodes:
        if node.node_id == status.leader:
            return node.address
    raise Failure("there is no leader to hand over: a majority of the nodes must reach each other first")
