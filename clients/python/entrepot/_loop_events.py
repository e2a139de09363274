"""The iterators of the asyncio client: events of a watch or a subscription, and ``changes``."""

from __future__ import annotations

import asyncio
import copy
import os
import weakref
from types import TracebackType
from typing import AsyncIterator, Awaitable, Callable, Optional, Type, TypeVar

from ._changes_pages import ChangesPages
from ._engine import Engine
from ._followers import EventFollower, Told
from ._inbox import Batch, Inbox
from ._loop_connection import LoopConnection
from .errors import Closed, EntrepotError
from .events import Change, ChangesPage, Token, WatchEvent

T = TypeVar("T")


class _Letterbox:
    """An inbox that tasks can wait at; what a follower tells. It belongs to the event loop."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self._changed = asyncio.Event()

    def begin(self) -> None:
        self.inbox.has_begun = True
        self._changed.set()

    def put(self, batch: Batch) -> None:
        self.inbox.put(batch)
        self._changed.set()

    def set_live(self, is_live: bool) -> None:
        self.inbox.is_live = is_live

    def end(self, error: Optional[EntrepotError]) -> None:
        self.inbox.end(error)
        self._changed.set()

    async def wait_for(self, condition: Callable[[Inbox], bool]) -> bool:
        """True once the condition holds, False when the end has come. Raises what ended it."""
        while not condition(self.inbox):
            if self.inbox.error is not None:
                raise copy.copy(self.inbox.error)
            if self.inbox.has_ended:
                return False
            self._changed.clear()
            await self._changed.wait()
        return True


class Events:
    """An iterator of events that goes on until it is closed; see docs/CLIENTS.md, section 9.

        async with client.watch("config:") as events:
            async for event in events:
                ...

    The block is entered when the server tells events; without a block, the first event raises what
    went wrong. Thread safety: none; it belongs to the event loop, and one task iterates.
    """

    def __init__(
        self, connection: LoopConnection, build: Callable[[Told], EventFollower], threshold: int
    ) -> None:
        """Made by the client."""
        self._letterbox = _Letterbox()
        self._follower = build(self._letterbox)
        self._threshold = threshold
        self._process = os.getpid()
        # What the events come over must not be closed before they are.
        self._connection = connection
        self._run = connection.follow(self._follower)
        self._finalizer = weakref.finalize(self, _unfollow, self._run, self._follower)
        self._finalizer.atexit = False

    @property
    def token(self) -> Optional[Token]:
        """What a later ``since`` takes: everything up to it has been handed out."""
        return self._letterbox.inbox.token

    @property
    def is_live(self) -> bool:
        """Whether the server was heard within 3 seconds and everything has been told."""
        return self._letterbox.inbox.is_live

    async def close(self) -> None:
        """Ends the iteration, and the watch on the server."""
        if self._process == os.getpid():
            self._letterbox.end(None)
            self._finalizer()

    def __aiter__(self) -> AsyncIterator[WatchEvent]:
        return self

    async def __anext__(self) -> WatchEvent:
        event = await self._take(Inbox.take_event)
        if event is None:
            raise StopAsyncIteration
        return event

    async def next_batch(self) -> Optional[Batch]:
        """Events that belong together, as those of a transaction do; None at the end."""
        return await self._take(Inbox.take_batch)

    async def _take(self, take: Callable[[Inbox], T]) -> T:
        if self._process != os.getpid():
            raise Closed("a watch belongs to the process that began it")
        await self._letterbox.wait_for(Inbox.has_events)
        found = take(self._letterbox.inbox)
        taken = self._letterbox.inbox.taken(self._threshold)
        if taken > 0:
            self._run(lambda engine: self._follower.taken(taken))
        return found

    async def __aenter__(self) -> Events:
        try:
            await self._letterbox.wait_for(lambda inbox: inbox.has_begun)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()


def _unfollow(run: Callable[[Callable[[Engine], None]], None], follower: EventFollower) -> None:
    run(lambda engine: engine.unfollow(follower))


class Changes:
    """An iterator of the changes after a token, page by page. It belongs to one task."""

    def __init__(
        self, since: Token, fetch: Callable[[Token], Awaitable[ChangesPage]], *, goes_on: bool
    ) -> None:
        """``goes_on``: also behind a page that has all there is, until one comes empty."""
        self._pages = ChangesPages(since, goes_on=goes_on)
        self._fetch = fetch

    @property
    def token(self) -> Token:
        """What a later ``since`` takes: everything up to it has been handed out."""
        return self._pages.token

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        while True:
            event = self._pages.take()
            if event is not None:
                return event
            if self._pages.has_ended:
                raise StopAsyncIteration
            self._pages.put(await self._fetch(self._pages.token))
