"""The client for asyncio: the methods of the blocking one, awaited.

    async with Client("tcp://127.0.0.1:5555") as client:
        await client.set("user:1", "Ada", ttl_ms=60_000)
        await client.get("user:1")
        async for item in client.find("A"):
            print(item.key, item.value)

It needs no thread: the sockets are watched by the event loop. A call that is cancelled is not
sent again; what it asked may still happen.

Thread safety: none. A client belongs to the event loop, and to the process, of its first call.
"""

from __future__ import annotations

import asyncio
import copy
from types import TracebackType
from typing import (
    Any,
    AsyncIterator,
    Awaitable,
    Callable,
    Concatenate,
    Coroutine,
    List,
    Optional,
    ParamSpec,
    Tuple,
    Type,
    TypeVar,
)

from . import _calls
from ._calls import Call
from ._codec import Request
from ._exchange import Exchange
from ._loop_connection import LoopConnection
from ._loop_events import Changes, Events
from ._loop_mirror import Mirror
from ._methods import present_as_method
from ._mirror_view import OnChange
from ._options import CONNECT_WAIT_MS, RETRIES, TIMEOUT_MS, CallOptions, server_of
from ._outcome import outcome
from ._pipeline import Pending, PipelineMethods
from ._subscription_follower import SubscriptionFollower
from ._update import Update
from ._watch_follower import WatchFollower
from ._watch_state import CREDIT, WatchOptions
from .events import ChangesPage, Token
from .results import Item, Key, Page

__all__ = ["Changes", "Client", "Events", "Mirror", "Pending", "Pipeline"]

T = TypeVar("T")
P = ParamSpec("P")


def _awaited(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate["Client", P], Coroutine[Any, Any, T]]:
    async def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call = build(*args, **kwargs)
        return outcome(call, await self._exchange([call.request], call.held_ms))

    present_as_method(method, build)
    return method


class Client:
    """See the module."""

    def __init__(
        self,
        server: Optional[str] = None,
        *,
        timeout_ms: float = TIMEOUT_MS,
        retries: int = RETRIES,
        connect_wait_ms: float = CONNECT_WAIT_MS,
    ) -> None:
        """The same parameters as those of the blocking client."""
        self._options = CallOptions(timeout_ms, retries)
        self._connection = LoopConnection(server_of(server), connect_wait_ms)

    hello = _awaited(_calls.hello)
    ping = _awaited(_calls.ping)
    get = _awaited(_calls.get)
    entry = _awaited(_calls.entry)
    set = _awaited(_calls.set)
    delete = _awaited(_calls.delete)
    increment = _awaited(_calls.increment)
    append = _awaited(_calls.append)
    prepend = _awaited(_calls.prepend)
    touch = _awaited(_calls.touch)
    get_many = _awaited(_calls.get_many)
    transact = _awaited(_calls.transact)
    find_page = _awaited(_calls.find_page)
    scan_page = _awaited(_calls.scan_page)
    count = _awaited(_calls.count)
    delete_prefix = _awaited(_calls.delete_prefix)
    changes_page = _awaited(_calls.changes_page)
    sync = _awaited(_calls.sync)
    stats = _awaited(_calls.stats)

    @property
    def server(self) -> str:
        """The endpoint."""
        return self._connection.endpoint

    def find(
        self,
        query: Any,
        *,
        key_prefix: Optional[Key] = None,
        values: bool = True,
        order: Optional[str] = None,
        page_limit: Optional[int] = None,
        ack: Optional[str] = None,
    ) -> AsyncIterator[Item]:
        """Every entry whose value starts with ``query``, or matches it, in the order of values.

        Pages of ``page_limit`` are fetched as they are needed, each within the client's deadline.
        """

        def page(cursor: Optional[bytes]) -> Awaitable[Page]:
            return self.find_page(
                query,
                key_prefix=key_prefix,
                limit=page_limit,
                cursor=cursor,
                values=values,
                order=order,
                ack=ack,
            )

        return _walk(page)

    def scan(
        self,
        key_prefix: Key,
        *,
        values: bool = True,
        order: Optional[str] = None,
        page_limit: Optional[int] = None,
        ack: Optional[str] = None,
    ) -> AsyncIterator[Item]:
        """Every entry whose key starts with ``key_prefix``, in the order of the keys.

        Pages of ``page_limit`` are fetched as they are needed, each within the client's deadline.
        """

        def page(cursor: Optional[bytes]) -> Awaitable[Page]:
            return self.scan_page(
                key_prefix, limit=page_limit, cursor=cursor, values=values, order=order, ack=ack
            )

        return _walk(page)

    async def update(
        self, key: Key, function: Callable[[Any], Any], *, ttl_ms: Optional[int] = None
    ) -> Item:
        """Writes ``function(value)`` unless the entry changes meanwhile; then it starts again.

        The function gets None where there is no entry, and may be called several times. An entry
        keeps its TTL unless ``ttl_ms`` is given. One deadline covers all rounds.
        """
        loop = self._connection.loop()
        rounds = Update(key, self._options.timeout_ms, loop.time())
        rounds.begin(await self.entry(key))
        while True:
            value = function(rounds.value)
            limited = self.with_options(timeout_ms=rounds.remaining_ms(loop.time()))
            result = await limited.set(key, value, **rounds.conditions(ttl_ms))
            if not result.conflict:
                return Item(key, value, result.version)
            if result.replayed:
                rounds.begin(await limited.entry(key))
            else:
                rounds.begin_with_conflict(result)

    def watch(
        self,
        key_prefix: Key = "",
        *,
        query: Any = None,
        since: Optional[Tuple[str, int]] = None,
        snapshot: bool = True,
        values: bool = True,
        credit: int = CREDIT,
    ) -> Events:
        """The entries whose key starts with ``key_prefix``, then every change, without a gap.

        With ``since``, a token, every change after it instead; with ``snapshot=False`` every change
        from now on. ``query`` narrows it to values as in ``find``. The iterator heals itself; at
        most about ``credit`` events wait in the client.
        """
        token = None if since is None else Token(*since)
        options = WatchOptions(key_prefix, query, token, snapshot, values, credit)
        return Events(
            self._connection,
            lambda told: WatchFollower(options, self._options, told),
            threshold=max(1, credit // 4),
        )

    def subscribe(self, key_prefix: Key = "", *, feed: Optional[str] = None) -> Events:
        """Changes below ``key_prefix`` as the server publishes them, from now on.

        It costs the server least, and a key's last change may be lost unseen; what is seen to be
        missing is fetched. ``feed`` is the PUB endpoint, without it the one that the server names.
        """
        return Events(
            self._connection,
            lambda told: SubscriptionFollower(key_prefix, self.server, feed, self._options, told),
            threshold=CREDIT // 4,
        )

    def mirror(self, key_prefix: Key = "", *, on_change: Optional[OnChange] = None) -> Mirror:
        """The entries below ``key_prefix`` as a dictionary that is kept current.

        ``on_change`` is called with each ``Difference``, one after the other, when it is shown.
        """
        return Mirror(self.watch(key_prefix), on_change)

    def changes(
        self,
        since: Tuple[str, int],
        *,
        key_prefix: Optional[Key] = None,
        values: bool = True,
        page_limit: Optional[int] = None,
        wait_ms: Optional[int] = None,
    ) -> Changes:
        """Every change after the token ``since``, until there are no more.

        With ``wait_ms`` until none has come for so long. Pages of ``page_limit`` are fetched as
        they are needed, each within the client's deadline.
        """

        def page(token: Token) -> Awaitable[ChangesPage]:
            return self.changes_page(
                token, key_prefix=key_prefix, limit=page_limit, wait_ms=wait_ms, values=values
            )

        return Changes(Token(*since), page, goes_on=wait_ms is not None)

    def pipeline(self) -> Pipeline:
        """Collects calls and sends them together; see ``Pipeline``."""
        return Pipeline(self)

    def with_options(
        self, *, timeout_ms: Optional[float] = None, retries: Optional[int] = None
    ) -> Client:
        """This client with another deadline or number of retries, on the same connection.

        Closing either closes both.
        """
        view = copy.copy(self)
        view._options = self._options.but(timeout_ms, retries)
        return view

    async def close(self) -> None:
        """Ends calls in flight as ``closed``; then no socket is left."""
        self._connection.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    async def _exchange(self, requests: List[Request], held_ms: float = 0) -> Exchange:
        """Sends one body and waits until it has ended."""
        loop = self._connection.loop()
        ended: asyncio.Future[None] = loop.create_future()

        def on_end(_: Exchange) -> None:
            if not ended.done():
                ended.set_result(None)

        exchange = Exchange(
            requests,
            created=loop.time(),
            timeout_ms=self._options.timeout_ms,
            retries=self._options.retries,
            on_end=on_end,
            held_ms=held_ms,
        )
        self._connection.submit(exchange)
        try:
            await ended
        except asyncio.CancelledError:
            self._connection.abandon(exchange)
            raise
        return exchange


async def _walk(fetch: Callable[[Optional[bytes]], Awaitable[Page]]) -> AsyncIterator[Item]:
    cursor: Optional[bytes] = None
    while True:
        page = await fetch(cursor)
        for item in page.items:
            yield item
        cursor = page.cursor
        if cursor is None:
            return


class Pipeline(PipelineMethods):
    """Several calls in one round trip.

        async with client.pipeline() as pipeline:
            name = pipeline.get("user:1")
            visits = pipeline.increment("visits")
        print(name.result(), visits.result().value)

    The calls are sent when the block ends, or by ``execute``. They run in order but not as one:
    each has its own result or error. A pipeline belongs to one task and is used once.
    """

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    async def execute(self) -> None:
        """Sends what was collected. Raises when a body got no answer."""
        for body in self._bodies():
            exchange = await self._client._exchange([pending.request for pending in body])
            self._settle(body, exchange)

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if kind is None:
            await self.execute()
