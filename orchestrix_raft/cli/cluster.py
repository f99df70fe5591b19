"""Commands about the cluster as a whole: `cluster transfer / events`."""

from typing import Annotated

import typer

from orchestrix_raft.cli import events, options, output

app = typer.Typer(help="Steer the cluster.", no_args_is_help=True, rich_markup_mode=None)
app.command("events")(events.events)


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
        target = client.transfer_leadership(node_id or "")
    if as_json:
        output.document({"target": target})
    else:
        output.line(f"leadership goes to {target}")
