"""The program `orchestrix-raft`: composition root of a node, and the commands people type."""
