"""The gRPC services of a node: check, convert, submit or read, map errors.

Knows a node only through `coordinator.port.NodePort`.  Whatever reaches a command was checked here:
behind this package, values have their limits.  Imported by the composition root.
"""
