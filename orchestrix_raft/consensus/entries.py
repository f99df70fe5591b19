"""What the first byte of a log entry says.

Every entry is one byte of kind and then its content.  Only this package writes the byte: a command
proposed from above is always stored behind `COMMAND`, so nobody can smuggle in a configuration.
"""

COMMAND = b"\x00"
"""Opaque bytes for the state machine."""

NO_OP = b"\x01"
"""A new leader's first entry; also the placeholder for an entry that lives only in a checkpoint."""

CONFIGURATION = b"\x10"
"""The members of the cluster from here on (see configuration.py)."""
