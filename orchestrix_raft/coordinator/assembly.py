"""The parts of a real node put together: a core over the engine, real clocks and the files of one disk."""

import random
import time
from collections.abc import Callable

from orchestrix_raft.consensus.configuration import Configuration, Member, Standing
from orchestrix_raft.consensus.engine import Engine
from orchestrix_raft.consensus.options import Options as ConsensusOptions
from orchestrix_raft.consensus.port import Apply, Consensus, Restore
from orchestrix_raft.coordinator.core import Core
from orchestrix_raft.coordinator.forming import Formed
from orchestrix_raft.coordinator.options import NodeOptions
from orchestrix_raft.coordinator.settings import Clocks, Identity
from orchestrix_raft.coordinator.starts import first_boot_id
from orchestrix_raft.domain import limits
from orchestrix_raft.storage.layout import DataDirectory
from orchestrix_raft.version import VERSION


def make_core(
    disk: DataDirectory,
    options: NodeOptions,
    formed: Formed,
    own: str,
    nonce: bytes,
    servers: Callable[[], tuple[str, ...]],
) -> Core:
    """The core of a member of `formed`.  own: its address; nonce: of this
    process, see `starts`; servers: API addresses of all members."""
    identity = disk.identity
    journal = disk.open_journal()
    store = disk.open_state_store()
    local = disk.open_local_store()
    bootstrap = (
        Configuration({m.node_id: Member(Standing.VOTER, m.disk_id) for m in formed.members})
        if formed.founder
        else None
    )

    def make(apply: Apply, restore: Restore) -> Consensus:
        return Engine(
            node_id=identity.node_id,
            disk_id=identity.disk_id,
            journal=journal,
            store=store,
            apply=apply,
            restore=restore,
            clock=time.monotonic,
            rng=random.SystemRandom(),
            options=consensus_options(options),
            bootstrap=bootstrap,
        )

    core = Core(
        Identity(
            identity.node_id,
            own,
            VERSION,
            first_boot_id(nonce),
            identity.starts,
            identity.disk_id,
            identity.joined_index,
        ),
        Clocks(time.monotonic, lambda: time.time_ns() // 1_000_000),
        options.core_limits(),
        store,
        local,
        make,
        random.SystemRandom(),
        servers,
    )
    core.addresses = {m.node_id: m.address for m in formed.members} | dict(identity.addresses)
    return core


def consensus_options(options: NodeOptions) -> ConsensusOptions:
    """What an operator may tune of the engine."""
    return ConsensusOptions(
        entry_bytes_max=limits.ENTRY_BYTES,
        heartbeat_s=options.raft_heartbeat_s,
        election_min_s=options.election_min_s,
        election_max_s=options.election_max_s,
        step_down_s=options.step_down_s,
        tail_entries=options.log_tail_entries,
        tail_bytes=options.log_tail_bytes,
    )
