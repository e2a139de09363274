"""A watch by the engine's side: asks, listens, and asks again when it is cut off or hears nothing.

What is to be asked and told is the business of ``WatchState``; here is when, and over which link.

Thread safety: none; it belongs to the engine. ``told`` is called in the engine's thread.
"""

from __future__ import annotations

import math
from typing import Any, List, Mapping, Optional

import zmq

from . import errors
from ._codec import Request
from ._exchange import PAUSE_MIN_SECONDS, Exchange
from ._followers import Host, Told
from ._inbox import Batch
from ._link import Link
from ._options import CallOptions
from ._patience import Patience, passes
from ._watch_state import SILENCE_SECONDS, Phase, WatchOptions, WatchState
from .errors import EntrepotError


class WatchFollower:
    """See the module."""

    def __init__(self, options: WatchOptions, call_options: CallOptions, told: Told) -> None:
        self._state = WatchState(options)
        self._call_options = call_options
        self._told = told
        self._host: Optional[Host] = None
        self._asking: Optional[Exchange] = None
        self._link: Optional[Link] = None
        self._number = 0
        self._heard_at = 0.0
        self._ask_at = -math.inf
        self._patience = Patience()
        self._has_ended = False

    # For the engine.

    def attach(self, host: Host) -> None:
        self._host = host

    def advance(self, now: float) -> float:
        assert self._host is not None
        if self._has_ended:
            return math.inf  # In the same turn.
        if self._link is not None and now >= self._heard_at + SILENCE_SECONDS:
            self._host.renew(self._link)  # Which calls cut_off().
        if self._link is not None:
            return self._allow_more(self._link, now)
        if self._asking is not None:
            return math.inf
        if now >= self._ask_at:
            self._ask(now)
            return math.inf
        return self._ask_at

    def notified(self, told: List[Mapping[Any, Any]], status: Mapping[Any, Any]) -> None:
        self._heard_at = self._now()
        self._put(self._state.told(told, status))
        error = status.get("error")
        if error is not None:
            self._stop_listening()
            self._take_refusal(errors.from_wire(error))
        self._told.set_live(self._state.phase is Phase.LIVE)

    def cut_off(self) -> None:
        self._link = None
        self._told.set_live(False)
        self._put(Batch(self._state.cut_off(), self._state.token))

    def sockets(self) -> List[zmq.Socket[bytes]]:
        return []  # Its watch is told over the link.

    def end(self, error: Optional[EntrepotError]) -> None:
        self._has_ended = True
        if self._asking is not None:
            assert self._host is not None
            self._host.abandon(self._asking)
        self._told.end(error)

    # For the reader, in the engine's thread.

    def taken(self, count: int) -> None:
        self._state.taken(count)
        self._call_soon()

    # Asking.

    def _ask(self, now: float) -> None:
        assert self._host is not None
        self._asking = Exchange(
            [self._state.request()],
            created=now,
            timeout_ms=self._call_options.timeout_ms,
            retries=self._call_options.retries,
            on_end=self._answered,
        )
        self._host.submit(self._asking)

    def _answered(self, asked: Exchange) -> None:
        self._asking = None
        if self._has_ended:
            return
        if asked.error is not None:
            self._take_refusal(asked.error)
            return
        response = asked.responses[0]
        if response.error is not None:
            self._take_refusal(errors.from_wire(response.error))
            return
        assert self._host is not None and asked.answered_on is not None
        if asked.answered_on is not self._host.current_link():
            self._call_soon()  # A late answer over a link that is given up: it is asked again.
            return
        try:
            self._number = self._state.accepted(response.result)
        except (KeyError, TypeError, ValueError) as error:
            self._give_up(errors.BadReply(f"the result of watch lacks something: {error!r}"))
            return
        self._link = asked.answered_on
        self._heard_at = self._now()
        self._patience.reset()
        self._host.listen(self._link, self._number, self)
        self._told.begin()
        self._call_soon()

    def _take_refusal(self, error: EntrepotError) -> None:
        """Asks again where that may help, at once or later; else it is over."""
        try:
            self._put(Batch(self._state.refused(error), None))
        except EntrepotError:
            if not passes(error) or not self._state.has_begun:
                self._give_up(error)
                return
            self._ask_at = self._now() + self._patience.pause_seconds(error)
        self._call_soon()

    # Telling.

    def _put(self, batch: Batch) -> None:
        self._told.put(batch)

    def _allow_more(self, link: Link, now: float) -> float:
        """Grants credit when enough has been taken; when to look again."""
        count = self._state.credit_due()
        if count > 0:
            more = Request.make("credit", [self._number, count])
            if not link.send(more.encode_as_notification()):
                return now + PAUSE_MIN_SECONDS
            self._state.granted(count)
        return self._heard_at + SILENCE_SECONDS

    def _stop_listening(self) -> None:
        assert self._host is not None and self._link is not None
        self._host.stop_listening(self._link, self._number)
        self._link = None

    def _give_up(self, error: EntrepotError) -> None:
        assert self._host is not None
        self._host.unfollow(self, error)

    def _now(self) -> float:
        assert self._host is not None
        return self._host.now

    def _call_soon(self) -> None:
        assert self._host is not None
        self._host.call_soon()
