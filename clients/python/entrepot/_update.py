"""The rounds of ``update``: what was read, on which condition to write, how much time is left."""

from __future__ import annotations

from typing import Any, Dict, Optional

from .errors import Timeout
from .results import Entry, Key, SetResult


class Update:
    """One update in the making. Times are in seconds of the caller's clock."""

    def __init__(self, key: Key, timeout_ms: float, now: float) -> None:
        self.value: Any = None
        self._key = key
        self._timeout_ms = timeout_ms
        self._deadline = now + timeout_ms / 1000
        self._version = 0

    def begin(self, entry: Optional[Entry]) -> None:
        """A round begins with what was read."""
        self.value = None if entry is None else entry.value
        self._version = 0 if entry is None else entry.version

    def begin_with_conflict(self, result: SetResult) -> None:
        """A round begins with what the conflict of the one before tells."""
        self.value = result.value
        self._version = result.version

    def conditions(self, ttl_ms: Optional[int]) -> Dict[str, Any]:
        """The options of ``set``."""
        return {"if_version": self._version, "ttl_ms": ttl_ms, "keep_ttl": ttl_ms is None}

    def remaining_ms(self, now: float) -> float:
        """Raises Timeout when nothing is left."""
        left_ms = (self._deadline - now) * 1000
        if left_ms <= 0:
            raise Timeout(
                f"others changed {self._key!r} faster than it could be updated "
                f"within {self._timeout_ms:g} ms"
            )
        return left_ms
