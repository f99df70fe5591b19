"""Test kit: a cluster of real processes on this machine, a ledger of effects, and the accounts of a run.

For tests, demos and measurements of programs that use orchestrix-raft, and for those of the project itself.
Knows the SDK and the command line, nothing of the server's packages.
"""

from orchestrix_raft.testing.accounts import Accounts, audit, lookup
from orchestrix_raft.testing.cluster import LocalCluster
from orchestrix_raft.testing.ledger import Ledger, LedgerLine
from orchestrix_raft.testing.observing import observe
from orchestrix_raft.testing.processes import Process
from orchestrix_raft.testing.waiting import TookTooLong, eventually

__all__ = [
    "Accounts",
    "Ledger",
    "LedgerLine",
    "LocalCluster",
    "Process",
    "TookTooLong",
    "audit",
    "eventually",
    "lookup",
    "observe",
]
