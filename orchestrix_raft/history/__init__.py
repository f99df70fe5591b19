"""Histories: what clients, workers and schedules asked and saw, and a checker that says whether it can be.

Pure: no clock, file or network.  docs/reference/history.md has the format and what each check promises.
"""
