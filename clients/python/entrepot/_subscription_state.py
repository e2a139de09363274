"""What a subscriber to the PUB endpoint was told, and what is missing: a machine without I/O.

PUB may lose messages. A change names the version before it, so that a loss is seen at the key's
next change; a new connection, or a pause of the heartbeats, shows that there may be more. Whoever
drives the machine fetches what a ``Gap`` names, tells what ``is_new`` of it, and then goes on.

Invariants:
 1. No change is told twice, and those of one key are told in the order of their versions.
 2. Of a key that ``_versions`` does not hold, nothing above ``_floor`` was told.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional

from ._watch_state import SILENCE_SECONDS
from .events import Change, Resync, Token
from .results import Key

# Keys whose version is remembered: about 100 bytes each, so 100 MB at most.
KEYS_MAX = 1_000_000


class Gap(NamedTuple):
    """Changes that were missed: those after ``since`` and up to the revision ``until``."""

    since: Token
    until: int
    key_prefix: Key
    # Only those of this key; None: of every key with the prefix.
    key: Optional[Key]


class SubscriptionState:
    """See the module. Thread safety: none; it belongs to the engine."""

    def __init__(self, key_prefix: Key, keys_max: int = KEYS_MAX) -> None:
        # That of the latest heartbeat; None before the first one, and after a loss.
        self.token: Optional[Token] = None
        self._key_prefix = key_prefix
        self._keys_max = keys_max
        self._heard_at = 0.0
        self._was_interrupted = False
        self._floor = 0
        self._versions: Dict[Key, int] = {}
        self._lost: Optional[str] = None

    def interrupted(self) -> None:
        """The connection has ended: the next heartbeat is that of another one."""
        self._was_interrupted = True

    def heartbeat(self, token: Token, now: float) -> Optional[Gap]:
        """A heartbeat came; what may have been missed since the one before."""
        before = self.token
        may_miss = self._was_interrupted or now - self._heard_at >= SILENCE_SECONDS
        self._was_interrupted = False
        if before is not None and before.history != token.history:
            self.lose("unknown_history")
            before = None
        self._heard_at = now
        self.token = token
        if before is None:
            self._floor = token.revision
            return None
        if may_miss and token.revision > before.revision:
            return Gap(before, token.revision, self._key_prefix, None)
        return None

    def lose(self, reason: str) -> None:
        """What was missed cannot be fetched: it begins again with the next heartbeat."""
        self._lost = reason
        self.token = None
        self._versions = {}

    def resync(self) -> List[Resync]:
        """What is to be told when it has begun again."""
        reason, self._lost = self._lost, None
        return [] if reason is None else [Resync(reason)]

    def is_new(self, change: Change) -> bool:
        """Whether it was not told yet. Before the first heartbeat nothing is."""
        return self.token is not None and change.version > self._told(change.key)

    def gap_before(self, change: Change) -> Optional[Gap]:
        """What was missed of the key of a change that is new."""
        assert self.token is not None
        told = self._told(change.key)
        if change.previous_version <= told:
            return None
        since = Token(self.token.history, told)
        return Gap(since, change.version - 1, change.key, change.key)

    def tell(self, change: Change) -> None:
        """It is told now."""
        self._versions.pop(change.key, None)
        self._versions[change.key] = change.version
        if len(self._versions) > self._keys_max:
            oldest = next(iter(self._versions))
            self._floor = self._versions.pop(oldest)

    def _told(self, key: Key) -> int:
        return self._versions.get(key, self._floor)
