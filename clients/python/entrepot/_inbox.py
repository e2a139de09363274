"""Between a follower, which puts events in, and the reader of an iterator, who takes them out.

Thread safety: none. The blocking iterators guard it by their lock; in an event loop nobody else is
there.

Invariant: ``token`` holds for what the reader has been given, not for what waits here.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, NamedTuple, Optional, Sequence

from .errors import EntrepotError
from .events import Token, WatchEvent


class Batch(NamedTuple):
    """Events that belong together, and the token that holds when they have been taken."""

    events: Sequence[WatchEvent]
    token: Optional[Token]


class Inbox:
    """See the module."""

    def __init__(self) -> None:
        self.has_begun = False
        self.has_ended = False
        # Whether the server is heard and everything was told.
        self.is_live = False
        # Why it has ended; None where its reader wanted that.
        self.error: Optional[EntrepotError] = None
        self.token: Optional[Token] = None
        self._waiting: Deque[Batch] = deque()
        self._open: Deque[WatchEvent] = deque()
        self._token_behind_open: Optional[Token] = None
        self._taken = 0

    def put(self, batch: Batch) -> None:
        """A batch without events moves the token on."""
        if batch.events:
            self._waiting.append(batch)
        elif self._waiting:
            self._waiting[-1] = Batch(self._waiting[-1].events, batch.token)
        elif self._open:
            self._token_behind_open = batch.token
        else:
            self.token = batch.token

    def end(self, error: Optional[EntrepotError]) -> None:
        """What waits can still be taken, unless the reader wanted the end."""
        if self.has_ended:
            return
        self.has_ended = True
        self.is_live = False
        self.error = error
        if error is None:
            self._waiting.clear()
            self._open.clear()

    def has_events(self) -> bool:
        return bool(self._open or self._waiting)

    def take_batch(self) -> Optional[Batch]:
        """The oldest batch, whole; None when there is none."""
        if not self._waiting:
            return None
        batch = self._waiting.popleft()
        self.token = batch.token
        self._taken += len(batch.events)
        return batch

    def take_event(self) -> Optional[WatchEvent]:
        """The oldest event; None when there is none."""
        if not self._open:
            if not self._waiting:
                return None
            batch = self._waiting.popleft()
            self._open.extend(batch.events)
            self._token_behind_open = batch.token
            self._taken += len(batch.events)
        event = self._open.popleft()
        if not self._open:
            self.token = self._token_behind_open
        return event

    def taken(self, at_least: int) -> int:
        """How many events were taken since the last call that told it; 0 while it is too few."""
        if self._taken < at_least:
            return 0
        taken, self._taken = self._taken, 0
        return taken
