"""What listens to the server beside the calls: watches and subscriptions, by the engine's side.

A follower is added to the engine and is then driven by it, as the engine is by its driver. It asks
by exchanges of its own, is handed the notifications of the watch it has, and is told when the link
that they come on is no use any more. What it has to tell goes to its ``Inbox``.

Thread safety: none; followers belong to the engine, except where a method says otherwise.

Invariant: a watch is listened to on the engine's current link, or not at all.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Protocol, Tuple

import zmq

from ._codec import Notification, Request
from ._exchange import Exchange
from ._inbox import Batch
from ._link import Link
from .errors import BadReply, Closed, EntrepotError


class Host(Protocol):
    """The engine as its followers see it."""

    context: zmq.Context[zmq.Socket[bytes]]
    # The time of the latest turn.
    now: float

    def submit(self, exchange: Exchange) -> None: ...

    def abandon(self, exchange: Exchange) -> None: ...

    def current_link(self) -> Optional[Link]:
        """The link on which requests are sent now."""

    def renew(self, link: Link) -> None:
        """The link is silent: another one is opened, as after an attempt that timed out."""

    def listen(self, link: Link, number: int, listener: Listener) -> None:
        """The server's notifications of this watch are for this listener."""

    def stop_listening(self, link: Link, number: int) -> None:
        """The server has ended this watch."""

    def unfollow(self, follower: Follower, error: Optional[EntrepotError] = None) -> None:
        """Ends the follower."""

    def call_soon(self) -> None:
        """A follower has something to do in the next turn."""

    def close_later(self, link: Link) -> None:
        """Closes a link of the follower's own when nobody waits for its sockets any more."""


class Listener(Protocol):
    """Who has a watch."""

    def notified(self, told: List[Mapping[Any, Any]], status: Mapping[Any, Any]) -> None:
        """A notification of its watch. Raises KeyError or TypeError where it lacks something."""

    def cut_off(self) -> None:
        """The link of its watch is no use any more."""


class Follower(Protocol):
    """What the engine drives."""

    def attach(self, host: Host) -> None:
        """Comes first."""

    def advance(self, now: float) -> float:
        """Does what is due, and reads what has come in on sockets of its own until nothing is left.

        Gives the time when it is to be called again at the latest.
        """

    def sockets(self) -> List[zmq.Socket[bytes]]:
        """Sockets of its own whose readability is to be waited for."""

    def end(self, error: Optional[EntrepotError]) -> None:
        """Gives up what it has. Without an error its reader wanted that."""


class Told(Protocol):
    """The reader's side of a follower."""

    def begin(self) -> None:
        """The server tells events from now on."""

    def put(self, batch: Batch) -> None:
        """Events, perhaps none, and the token behind them."""

    def set_live(self, is_live: bool) -> None:
        """Whether the server is heard, and everything was told."""

    def end(self, error: Optional[EntrepotError]) -> None:
        """Nothing more comes. Without an error the reader wanted that."""


class EventFollower(Follower, Protocol):
    """One that tells events to a reader."""

    def taken(self, count: int) -> None:
        """The reader has taken so many events. In the engine's thread."""


class Followers:
    """See the module."""

    def __init__(self) -> None:
        self._followers: List[Follower] = []
        self._listening: Dict[Tuple[Link, int], Listener] = {}
        self._unused: List[Link] = []
        # When one of them may have something to do that no socket tells.
        self.next_at = math.inf
        self._has_sockets = False

    def add(self, follower: Follower) -> None:
        self._followers.append(follower)
        self.call_soon()

    def remove(self, follower: Follower, error: Optional[EntrepotError] = None) -> None:
        """May be called for one that is not there any more."""
        if follower in self._followers:
            self._followers.remove(follower)
            owner: object = follower
            for (link, number), listener in list(self._listening.items()):
                if listener is owner:
                    del self._listening[link, number]
                    unwatch(link, number)
            follower.end(error)

    def call_soon(self) -> None:
        """A follower has something to do in the next turn."""
        self.next_at = -math.inf

    def advance(self, now: float) -> None:
        is_due = now >= self.next_at
        if is_due:
            self.next_at = math.inf
        elif not self._has_sockets:
            return
        for follower in [*self._followers]:
            if is_due or follower.sockets():
                due = follower.advance(now)
                self.next_at = min(self.next_at, due)

    def listen(self, link: Link, number: int, listener: Listener) -> None:
        self._listening[link, number] = listener

    def stop_listening(self, link: Link, number: int) -> None:
        del self._listening[link, number]

    def take(self, link: Link, notification: Notification) -> None:
        """Raises BadReply where it is not of the protocol."""
        if notification.method != "events":
            return
        try:
            number, told, status = notification.params[:3]
            listener = self._listening.get((link, number))
            if listener is None:
                unwatch(link, number)
                return
            listener.notified(told, status)
        except (KeyError, TypeError, ValueError) as error:
            raise BadReply(f"the events are not what the protocol says: {error!r}") from error

    def cut_off(self, link: Link) -> None:
        """Nothing more is asked on this link."""
        for (listened, number), listener in list(self._listening.items()):
            if listened is link:
                del self._listening[listened, number]
                listener.cut_off()
                self.call_soon()

    def sockets(self) -> List[zmq.Socket[bytes]]:
        sockets = [socket for follower in self._followers for socket in follower.sockets()]
        self._has_sockets = bool(sockets)
        return sockets

    def close_later(self, link: Link) -> None:
        self._unused.append(link)

    def close_unused(self) -> None:
        for link in self._unused:
            link.close()
        self._unused = []

    def close(self) -> None:
        for follower in [*self._followers]:
            self.remove(follower, Closed("the client was closed"))
        self.close_unused()


def unwatch(link: Link, number: int) -> None:
    """Tells the server that nobody listens. A watch goes with its connection at the latest."""
    link.send(Request.make("unwatch", [number]).encode_as_notification())
