"""The program `orchestrix-raft`: composition root of a node, and the commands people type."""

import os

# Read by gRPC when it is imported: without it every stranger's failed handshake writes a line of its own
# format to stderr, between our log lines.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
