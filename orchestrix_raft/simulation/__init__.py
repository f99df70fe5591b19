"""A whole cluster in one thread under a virtual clock: real cores, simulated network, disks and clocks.

A seed decides everything; the same seed is the same story.  Run it with
`python -m orchestrix_raft.simulation`.
"""
