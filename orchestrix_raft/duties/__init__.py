"""What the leader should propose now: pure functions `(state, evidence, limits) -> commands`.

No duty owns a thread, a timer or a connection; the node's core runs them all.  Imports `machine` and
`domain` only.
"""
