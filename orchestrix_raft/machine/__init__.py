"""The replicated state machine: pure and deterministic, `apply(state, entry) -> events`.

Imports `domain` only; reads no clock, no randomness, no environment, and logs nothing.
"""
