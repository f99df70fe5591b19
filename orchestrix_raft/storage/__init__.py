"""Disks: Raft journal, checkpoint of the state, snapshots, job logs.  The only importer of `lmdb`."""
