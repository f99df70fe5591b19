"""The worker SDK: runs handlers for jobs.  Knows the wire, nothing of the server's packages.

`session.py` holds the protocol as a state machine without I/O; `shell.py` moves its messages; `runner.py`
runs handlers on the loop, in threads and in processes.
"""
