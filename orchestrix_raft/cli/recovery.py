"""What `cluster recover` does: report what a survivor's directory holds, and make a cluster of one of it.

It is for the loss of a majority for good, and nothing else: what the lost nodes acknowledged last is gone
afterwards.  So the other members are asked first, and as long as the cluster works without this node, or
never had another one, there is nothing to recover and it is refused.
"""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from orchestrix_raft import ClusterStatus
from orchestrix_raft.cli import output, status
from orchestrix_raft.cli.offline import made_document, tell, time_of, who
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.cli.status import Silent
from orchestrix_raft.coordinator import renewal
from orchestrix_raft.coordinator.renewal import Left
from orchestrix_raft.domain.words import counted
from orchestrix_raft.storage.offline import Survivor
from orchestrix_raft.storage.port import StorageError
from orchestrix_raft.wire.endpoint import TlsFiles


class Wish(NamedTuple):
    """What was asked for on the command line."""

    force_new_cluster: bool  # else only a report
    despite_majority: bool
    as_json: bool
    tls: TlsFiles | None  # to ask the other members with


class Other(NamedTuple):
    """Another member of the cluster, as it answers now."""

    node_id: str
    address: str  # "": not known
    answer: str  # one line
    leader: str  # whom it follows as a node of the same cluster; "": nobody


def recover(data_dir: Path, wish: Wish) -> None:
    """Make a cluster of one of a survivor, or only say what it holds and what would become of it."""
    try:
        survivor = Survivor(data_dir)
        with closing(survivor):
            if survivor.interrupted:
                _complete(survivor, wish)
                return
            left = renewal.look(survivor)
            others = _ask(left, wish.tls)
            why_not = "" if wish.despite_majority else _why_not(left, others, data_dir)
            if not wish.force_new_cluster:
                _report(left, others, why_not, data_dir, wish)
                return
            if why_not:
                raise Failure(f"nothing was changed: {why_not}")
            made, kept = renewal.recover(survivor, who())
    except StorageError as error:
        raise Failure(str(error)) from error
    if wish.as_json:
        output.document(
            {
                "changed": True,
                "former": _left_document(left),
                "others": _others_document(others),
                "kept": str(kept),
                **made_document(made),
            }
        )
        return
    output.line(f"recovered {data_dir} of node {left.node_id}; its former journal and state are in {kept}")
    for line in _what_is_left(left):
        output.line(line)
    tell(made)


def _complete(survivor: Survivor, wish: Wish) -> None:
    if not wish.force_new_cluster:
        raise Failure(
            f"{survivor.path}: a recovery was cut short; complete it first, with --force-new-cluster"
        )
    kept = survivor.put_in_place()
    output.line(f"completed the recovery that was cut short; the former journal and state are in {kept}")


# ---- is it needed?


def _ask(left: Left, tls: TlsFiles | None) -> list[Other]:
    """How the other members are, each asked where it was last."""
    names = [member for member in left.members if member != left.node_id]
    asked = [name for name in names if name in left.addresses]
    answers = asyncio.run(status.ask_each([left.addresses[name] for name in asked], tls))
    found = dict(zip(asked, answers, strict=True))
    return [_other(left, name, found.get(name)) for name in names]


def _other(left: Left, name: str, answer: ClusterStatus | Silent | None) -> Other:
    address = left.addresses.get(name, "")
    match answer:
        case None:
            return Other(name, address, "its address is not known", "")
        case Silent(error=error):
            return Other(name, address, f"no answer ({error})", "")
    if answer.cluster_id != left.cluster_id:
        return Other(
            name, address, f"answers as a node of another cluster, {answer.cluster_id or 'none'}", ""
        )
    leader = "" if answer.stale else answer.leader
    return Other(name, address, f"answers, and {leader or 'nobody'} leads", leader)


def _why_not(left: Left, others: list[Other], data_dir: Path) -> str:
    """Why there is nothing to recover, with what to do instead; empty: no reason is known."""
    if not left.members:
        return (
            f"node {left.node_id} was added to its cluster and has received nothing of it: recover another "
            "member, and add this one to the new cluster, with an empty data directory"
        )
    if not others:
        return (
            f"node {left.node_id} is the only member of its cluster, so no majority is lost: start it, with "
            f"`orchestrix-raft node --data-dir {data_dir}`"
        )
    works = next((other for other in others if other.leader), None)
    if works is None:
        return ""
    return (
        f"the cluster works: node {works.node_id} at {works.address} answers, and {works.leader} leads. "
        f"Start node {left.node_id}, and it gets what it lacks; if it cannot be started, replace it "
        f"(`cluster remove {left.node_id}`, then an empty node with --join)"
    )


# ---- telling


def _report(left: Left, others: list[Other], why_not: str, data_dir: Path, wish: Wish) -> None:
    """What there is and what would be done.  It was asked for, so it is no failure."""
    if wish.as_json:
        output.document(
            {
                "changed": False,
                "former": _left_document(left),
                "others": _others_document(others),
                "refused": why_not,
            }
        )
        return
    output.line(
        f"{data_dir}: node {left.node_id} of cluster {left.cluster_id} ({', '.join(left.members)}), log up to"
        f" entry {left.last_index} of term {left.last_term} ({output.cell(time_of(left.last_wall_ms))})"
    )
    for other in others:
        output.line(f"{other.node_id}{f' at {other.address}' if other.address else ''}: {other.answer}")
    if why_not:
        output.line(f"nothing was changed, and a recovery would be refused: {why_not}")
        return
    output.line(f"a recovery would make a new cluster of node {left.node_id} alone:")
    for line in _what_is_left(left):
        output.line(f"  {line}")
    output.line(
        "of several survivors take the one with the highest term and, of those, the highest entry, when it is"
        " certain that the others are lost for good"
    )
    output.line(
        "nothing was changed; to do it: orchestrix-raft cluster recover --force-new-cluster --data-dir"
        f" {data_dir}"
    )


def _what_is_left(left: Left) -> list[str]:
    lines = [
        f"kept: its whole log, up to entry {left.last_index} of term {left.last_term}"
        f" ({output.cell(time_of(left.last_wall_ms))})"
    ]
    open_ones = left.last_index - left.checkpoint
    if open_ones:
        last = "entry is" if open_ones == 1 else f"{counted(open_ones, 'entry', 'entries')} are"
        lines.append(
            f"of that, the last {last} not known to have been acknowledged, and kept nevertheless: whoever"
            " asked for it was told at most that the outcome is unknown"
        )
    others = ", ".join(member for member in left.members if member != left.node_id)
    if others:
        lines.append(
            f"lost: whatever {others} acknowledged and this node never received; nobody can say whether there"
            " is any"
        )
    return lines


def _left_document(left: Left) -> dict[str, object]:
    document = {**left._asdict(), "last_entry_at": time_of(left.last_wall_ms)}
    del document["last_wall_ms"]
    return document


def _others_document(others: list[Other]) -> list[dict[str, str]]:
    return [other._asdict() for other in others]
