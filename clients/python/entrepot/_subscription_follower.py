"""A subscription by the engine's side: a SUB socket, and calls of ``changes`` for what it misses.

    ASKING where the feed is ──▶ LISTENING ──▶ FETCHING what is missing
            ▲                      │   ▲             │
            └──── silence ─────────┘   └─────────────┘

Thread safety: none; it belongs to the engine. ``told`` is called in the engine's thread.
"""

from __future__ import annotations

import math
import re
from typing import Any, Callable, List, Optional, Sequence

import zmq

from . import _calls, errors
from ._calls import Call
from ._codec import decode_value
from ._exchange import Exchange
from ._followers import Host, Told
from ._inbox import Batch
from ._link import FeedLink, LinkEvent
from ._options import CallOptions
from ._patience import Patience, passes
from ._subscription_state import Gap, SubscriptionState
from ._watch_state import CREDIT, SILENCE_SECONDS
from .errors import EntrepotError
from .events import Change, ChangesPage, Token, WatchEvent, read_changes
from .results import Hello, Key

HEARTBEAT_KEY = b"$heartbeat"
# A server that listens everywhere names no address that one could connect to.
_EVERYWHERE = re.compile(r"tcp://(\*|0\.0\.0\.0|\[::\]):(\d+)")


class SubscriptionFollower:
    """See the module."""

    def __init__(
        self,
        key_prefix: Key,
        server: str,
        feed: Optional[str],
        call_options: CallOptions,
        told: Told,
    ) -> None:
        """``feed`` is the PUB endpoint to use; None: the one that ``server`` names."""
        self._state = SubscriptionState(key_prefix)
        self._key_prefix = key_prefix.encode() if isinstance(key_prefix, str) else key_prefix
        self._server = server
        self._feed = feed
        self._call_options = call_options
        self._told = told
        self._host: Optional[Host] = None
        self._exchange: Optional[Exchange] = None
        self._feed_link: Optional[FeedLink] = None
        # What is missing before the change that came, which is told after it.
        self._gap: Optional[Gap] = None
        self._held: Optional[Change] = None
        self._has_begun = False
        self._has_ended = False
        self._begin_until: Optional[float] = None
        self._heard_at = 0.0
        self._resume_at = -math.inf
        self._patience = Patience()
        # Events told that the reader has not taken.
        self._untaken = 0

    # For the engine.

    def attach(self, host: Host) -> None:
        self._host = host

    def advance(self, now: float) -> float:
        if self._has_ended:
            return math.inf  # In the same turn.
        if self._begin_until is None:
            self._begin_until = now + self._call_options.timeout_ms / 1000
        if not self._has_begun and now >= self._begin_until:
            self._give_up(errors.Timeout(f"No heartbeat from the feed of {self._server}."))
            return math.inf
        if self._exchange is None and now >= self._resume_at:
            if self._gap is not None:
                self._fetch(self._gap)
            elif self._feed_link is None:
                self._find_feed()
            else:
                self._listen(self._feed_link, now)
        return self._due()

    def sockets(self) -> List[zmq.Socket[bytes]]:
        return self._feed_link.sockets() if self._feed_link is not None and self._may_read() else []

    def end(self, error: Optional[EntrepotError]) -> None:
        self._has_ended = True
        if self._exchange is not None:
            self._engine().abandon(self._exchange)
        self._drop_feed()
        self._told.end(error)

    # For the reader, in the engine's thread.

    def taken(self, count: int) -> None:
        self._untaken -= count
        self._engine().call_soon()

    # Finding the feed.

    def _find_feed(self) -> None:
        if self._feed is not None:
            self._open_feed(self._feed)
        else:
            self._call(_calls.hello(), self._take_hello)

    def _take_hello(self, hello: Hello) -> None:
        feed = hello.endpoints.get("feed")
        if not isinstance(feed, str):
            self._give_up(errors.InvalidArgument(f"{self._server} publishes no feed"))
            return
        everywhere = _EVERYWHERE.fullmatch(feed)
        if everywhere is not None and self._server.startswith("tcp://"):
            feed = f"{self._server.rpartition(':')[0]}:{everywhere[2]}"
        self._open_feed(feed)

    def _open_feed(self, endpoint: str) -> None:
        self._heard_at = self._engine().now
        try:
            self._feed_link = FeedLink(
                self._engine().context, endpoint, [self._key_prefix, HEARTBEAT_KEY]
            )
        except errors.InvalidArgument as error:
            self._give_up(error)
            return
        # Subscribing may have used up the socket's signal for what has come in meanwhile.
        self._engine().call_soon()

    def _drop_feed(self) -> None:
        """The next connection is found anew: the server may have moved."""
        if self._feed_link is not None:
            self._engine().close_later(self._feed_link)
            self._feed_link = None
            self._state.interrupted()
            self._told.set_live(False)

    # Listening.

    def _may_read(self) -> bool:
        return self._gap is None and self._exchange is None and self._untaken < CREDIT

    def _listen(self, link: FeedLink, now: float) -> None:
        """Reads until nothing is left, something is missing, or the reader has enough."""
        while self._may_read():
            frames = link.next_message()
            if not frames:
                break
            try:
                self._take_message(frames, now)
            except (KeyError, TypeError, ValueError, EntrepotError) as error:
                self._give_up(errors.BadReply(f"what the feed told is no event: {error!r}"))
                return
        is_silent = self._may_read() and now >= self._heard_at + SILENCE_SECONDS
        if is_silent or LinkEvent.DOWN in [*link.events()]:
            self._drop_feed()
            self._resume_at = now + self._patience.pause_seconds()

    def _take_message(self, frames: Sequence[bytes], now: float) -> None:
        key, body = frames
        if key == HEARTBEAT_KEY:
            told = decode_value(body)
            self._take_heartbeat(Token(str(told["history"]), int(told["version"])), now)
            return
        for change in read_changes([decode_value(body)]):
            if not self._state.is_new(change):
                continue
            self._gap = self._state.gap_before(change)
            if self._gap is None:
                self._tell([change])
            else:
                self._held = change

    def _take_heartbeat(self, token: Token, now: float) -> None:
        self._heard_at = now
        self._patience.reset()
        self._gap = self._state.heartbeat(token, now)
        self._put([*self._state.resync()])
        self._told.set_live(self._gap is None)
        if not self._has_begun:
            self._has_begun = True
            self._told.begin()

    # Fetching.

    def _fetch(self, gap: Gap) -> None:
        self._call(_calls.changes_page(gap.since, key_prefix=gap.key_prefix), self._take_page)

    def _take_page(self, page: ChangesPage) -> None:
        gap = self._gap
        assert gap is not None
        self._tell(
            [
                change
                for change in page.events
                if (gap.key is None or change.key == gap.key)
                and change.version <= gap.until
                and self._state.is_new(change)
            ]
        )
        if page.more and page.token.revision < gap.until:
            self._gap = gap._replace(since=page.token)
            return
        held, self._gap, self._held = self._held, None, None
        if held is not None:
            self._tell([held])
        self._told.set_live(True)

    def _call(self, call: Call[Any], take: Callable[[Any], None]) -> None:
        def on_end(ended: Exchange) -> None:
            self._exchange = None
            if self._has_ended:
                return
            self._engine().call_soon()
            error = ended.error
            if error is None and ended.responses[0].error is not None:
                error = errors.from_wire(ended.responses[0].error)
            if error is not None:
                self._take_error(error)
                return
            try:
                result = call.read(ended.responses[0].result)
            except errors.BadReply as bad:
                self._give_up(bad)
                return
            take(result)

        self._exchange = Exchange(
            [call.request],
            created=self._engine().now,
            timeout_ms=self._call_options.timeout_ms,
            retries=self._call_options.retries,
            on_end=on_end,
        )
        self._engine().submit(self._exchange)

    def _take_error(self, error: EntrepotError) -> None:
        if self._gap is not None and error.code in errors.TOKEN_IS_NO_USE:
            self._gap, self._held = None, None
            self._state.lose(error.code)
        elif self._has_begun and passes(error):
            self._resume_at = self._engine().now + self._patience.pause_seconds(error)
        else:
            self._give_up(error)

    # Telling.

    def _tell(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._state.tell(change)
        if changes:
            self._put(changes)

    def _put(self, events: Sequence[WatchEvent]) -> None:
        self._untaken += len(events)
        self._told.put(Batch(events, self._state.token))

    def _due(self) -> float:
        due = math.inf
        if self._exchange is None and (self._gap is not None or self._feed_link is None):
            due = self._resume_at
        elif self._may_read():
            due = self._heard_at + SILENCE_SECONDS
        if self._begin_until is not None and not self._has_begun:
            due = min(due, self._begin_until)
        return due

    def _give_up(self, error: EntrepotError) -> None:
        self._engine().unfollow(self, error)

    def _engine(self) -> Host:
        assert self._host is not None
        return self._host
