"""What an asyncio client and its views share: the engine, driven by the event loop.

Sockets are watched through ZMQ_FD, which signals edges: the engine therefore goes on, each time,
until no socket is ready for what it is waited for.

Thread safety: none; it belongs to the loop of its first call.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import Callable, Optional, Set

from . import _context
from ._engine import Engine
from ._exchange import Exchange
from ._followers import Follower
from .errors import Closed


class LoopConnection:
    """The engine lives from the first call to close(), or until the client is dropped."""

    def __init__(self, endpoint: str, connect_wait_ms: float) -> None:
        self.endpoint = endpoint
        self._connect_wait_ms = connect_wait_ms
        self._process = os.getpid()
        self._is_closed = False
        self._driver: Optional[_Driver] = None
        self._detach_finalizer: Optional[Callable[[], object]] = None

    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that runs; the engine is there. Raises Closed where the client is no use."""
        if self._is_closed:
            raise Closed("the client is closed")
        if self._process != os.getpid():
            raise Closed("an asyncio client cannot be used in a child of its process")
        loop = asyncio.get_running_loop()
        if self._driver is None:
            self._driver = _Driver(loop, self.endpoint, self._connect_wait_ms)
            finalizer = weakref.finalize(self, _close_from_anywhere, self._driver)
            finalizer.atexit = False
            self._detach_finalizer = finalizer.detach
        if self._driver.loop is not loop:
            raise Closed("an asyncio client belongs to the event loop of its first call")
        return loop

    def submit(self, exchange: Exchange) -> None:
        """In the same turn as loop(), without anything awaited between."""
        assert self._driver is not None
        self._driver.submit(exchange)

    def abandon(self, exchange: Exchange) -> None:
        if self._driver is not None:
            self._driver.abandon(exchange)

    def follow(self, follower: Follower) -> Callable[[Callable[[Engine], None]], None]:
        """What runs a command for it, from any thread; nothing once the client is closed."""
        self.loop()
        driver = self._driver
        assert driver is not None
        driver.run(lambda engine: engine.follow(follower))
        return driver.run_from_anywhere

    def close(self) -> None:
        self._is_closed = True
        if self._detach_finalizer is not None:
            self._detach_finalizer()
        if self._driver is not None and self._process == os.getpid():
            self._driver.close()
        self._driver = None


class _Driver:
    """Lets the loop call the engine when a socket or the time says so."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, endpoint: str, connect_wait_ms: float
    ) -> None:
        self.loop = loop
        self._engine = Engine(_context.acquire(), endpoint, connect_wait_ms)
        self._is_closed = False
        self._watched: Set[int] = set()
        self._timer: Optional[asyncio.TimerHandle] = None
        self._soon: Optional[asyncio.Handle] = None

    def submit(self, exchange: Exchange) -> None:
        self._engine.submit(exchange)
        self._advance_soon()

    def abandon(self, exchange: Exchange) -> None:
        if not self._is_closed:
            self._engine.abandon(exchange)
            self._advance_soon()

    def run(self, command: Callable[[Engine], None]) -> None:
        if not self._is_closed:
            command(self._engine)
            self._advance_soon()

    def run_from_anywhere(self, command: Callable[[Engine], None]) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.run, command)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        for descriptor in self._watched:
            self.loop.remove_reader(descriptor)
        self._engine.close()
        _context.release()

    def _advance_soon(self) -> None:
        """Once for all calls that are made in this turn of the loop."""
        if self._soon is None:
            self._soon = self.loop.call_soon(self._advance)

    def _advance(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        self._engine.advance(self.loop.time())
        wanted = {socket.fileno() for socket in self._engine.sockets()}
        for descriptor in self._watched - wanted:
            self.loop.remove_reader(descriptor)
        for descriptor in wanted - self._watched:
            self.loop.add_reader(descriptor, self._advance)
        self._watched = wanted
        self._engine.close_unused()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._engine.next_at()
        if due is not None:
            self._timer = self.loop.call_at(due, self._advance)


def _close_from_anywhere(driver: _Driver) -> None:
    """The client was dropped without close(), perhaps on another thread or after its loop."""
    if driver.loop.is_closed():
        driver.close()
    else:
        driver.loop.call_soon_threadsafe(driver.close)
