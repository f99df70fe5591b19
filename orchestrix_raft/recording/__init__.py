"""Histories in files: where recorders write, and how that is read.  Used by the SDKs, the test kit, the CLI.

The lines and the checks are in `orchestrix_raft.history`, which touches no file.
"""
