"""The iterators of the blocking client: events of a watch or a subscription, and ``changes``.

The client's thread fills an inbox, and the reader's thread waits at it.
"""

from __future__ import annotations

import copy
import os
import threading
import weakref
from types import TracebackType
from typing import Callable, Iterator, Optional, Type, TypeVar

from ._changes_pages import ChangesPages
from ._connection import Connection
from ._followers import EventFollower, Told
from ._inbox import Batch, Inbox
from .errors import Closed, EntrepotError
from .events import Change, ChangesPage, Token, WatchEvent

T = TypeVar("T")


class _Letterbox:
    """An inbox with a lock; what a follower tells. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inbox = Inbox()

    def begin(self) -> None:
        with self._changed:
            self._inbox.has_begun = True
            self._changed.notify_all()

    def put(self, batch: Batch) -> None:
        with self._changed:
            self._inbox.put(batch)
            self._changed.notify_all()

    def set_live(self, is_live: bool) -> None:
        with self._changed:
            self._inbox.is_live = is_live

    def end(self, error: Optional[EntrepotError]) -> None:
        with self._changed:
            self._inbox.end(error)
            self._changed.notify_all()

    def look(self, read: Callable[[Inbox], T]) -> T:
        with self._changed:
            return read(self._inbox)

    def wait_for(self, condition: Callable[[Inbox], bool]) -> bool:
        """True once the condition holds, False when the end has come. Raises what ended it."""
        with self._changed:
            self._changed.wait_for(lambda: condition(self._inbox) or self._inbox.has_ended)
            if condition(self._inbox):
                return True
            if self._inbox.error is not None:
                raise copy.copy(self._inbox.error)
            return False


class Events:
    """An iterator of events that goes on until it is closed; see docs/CLIENTS.md, section 9.

        with client.watch("config:") as events:
            for event in events:
                ...

    Thread safety: one thread iterates; ``close`` and the properties may be used by any.
    """

    def __init__(
        self, connection: Connection, build: Callable[[Told], EventFollower], threshold: int
    ) -> None:
        """Made by the client; returns when the server tells events. Raises why it does not."""
        self._letterbox = _Letterbox()
        self._follower = build(self._letterbox)
        self._threshold = threshold
        self._process = os.getpid()
        # What the events come over must not be closed before they are.
        self._connection = connection
        self._worker = connection.follow(self._follower)
        self._finalizer = weakref.finalize(self, self._worker.unfollow_soon, self._follower)
        self._finalizer.atexit = False
        try:
            self._letterbox.wait_for(lambda inbox: inbox.has_begun)
        except BaseException:
            self.close()
            raise

    @property
    def token(self) -> Optional[Token]:
        """What a later ``since`` takes: everything up to it has been handed out."""
        return self._letterbox.look(lambda inbox: inbox.token)

    @property
    def is_live(self) -> bool:
        """Whether the server was heard within 3 seconds and everything has been told."""
        return self._letterbox.look(lambda inbox: inbox.is_live)

    def close(self) -> None:
        """Ends the iteration, and the watch on the server."""
        if self._process == os.getpid():
            self._letterbox.end(None)
            self._finalizer()

    def __iter__(self) -> Iterator[WatchEvent]:
        return self

    def __next__(self) -> WatchEvent:
        event = self._take(Inbox.take_event)
        if event is None:
            raise StopIteration
        return event

    def next_batch(self) -> Optional[Batch]:
        """Events that belong together, as those of a transaction do; None at the end."""
        return self._take(Inbox.take_batch)

    def _take(self, take: Callable[[Inbox], T]) -> T:
        if self._process != os.getpid():
            raise Closed("a watch belongs to the process that began it")
        self._letterbox.wait_for(Inbox.has_events)
        found = self._letterbox.look(take)
        taken = self._letterbox.look(lambda inbox: inbox.taken(self._threshold))
        if taken > 0:
            try:
                self._worker.run(lambda engine: self._follower.taken(taken))
            except Closed:
                pass  # The inbox tells it when what it has was taken.
        return found

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


class Changes:
    """An iterator of the changes after a token, page by page. It belongs to one thread."""

    def __init__(
        self, since: Token, fetch: Callable[[Token], ChangesPage], *, goes_on: bool
    ) -> None:
        """``goes_on``: also behind a page that has all there is, until one comes empty."""
        self._pages = ChangesPages(since, goes_on=goes_on)
        self._fetch = fetch

    @property
    def token(self) -> Token:
        """What a later ``since`` takes: everything up to it has been handed out."""
        return self._pages.token

    def __iter__(self) -> Iterator[Change]:
        return self

    def __next__(self) -> Change:
        while True:
            event = self._pages.take()
            if event is not None:
                return event
            if self._pages.has_ended:
                raise StopIteration
            self._pages.put(self._fetch(self._pages.token))
