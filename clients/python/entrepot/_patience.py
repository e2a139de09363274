"""How followers deal with errors that pass by themselves: what those are, and how long to wait."""

from __future__ import annotations

from typing import Optional

from . import errors
from ._exchange import PAUSE_MAX_SECONDS, PAUSE_MIN_SECONDS
from .errors import EntrepotError

_PASSING = (errors.Unreachable, errors.Timeout, errors.ConnectionLost, errors.BadReply)


def passes(error: EntrepotError) -> bool:
    """Whether it may be over when the same is asked again."""
    return isinstance(error, _PASSING) or error.retry == "later"


class Patience:
    """The wait before the next attempt, doubled each time until one went well."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def reset(self) -> None:
        self._seconds = 0.0

    def pause_seconds(self, error: Optional[EntrepotError] = None) -> float:
        """How long to wait now: as the error says, if it does."""
        if error is not None and error.retry_after_ms is not None:
            return error.retry_after_ms / 1000
        self._seconds = min(max(2 * self._seconds, PAUSE_MIN_SECONDS), PAUSE_MAX_SECONDS)
        return self._seconds
