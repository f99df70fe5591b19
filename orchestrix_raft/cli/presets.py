"""`--retry` and `--max-retries`, which jobs and schedules share."""

from typing import Final

import typer

from orchestrix_raft import RetryPolicy
from orchestrix_raft.client.model import RETRY_PRESETS

PRESETS: Final = ", ".join(RETRY_PRESETS)
"""The words, for the help."""


def retry_policy(preset: str | None, max_retries: int | None) -> RetryPolicy | None:
    """What the two options said; None: nothing."""
    if preset is None and max_retries is None:
        return None
    if preset is not None and preset not in RETRY_PRESETS:
        raise typer.BadParameter(f"{preset!r} is none of {PRESETS}", param_hint="--retry")
    return RetryPolicy(preset=preset or "default", max_retries=max_retries)
