"""The connections of one client: the one in use, and older ones that may still bring answers.

It knows when to open the next one and why there is none, and nothing of what is sent.

Thread safety: none; it belongs to the engine.
"""

from __future__ import annotations

from typing import List, Optional

import zmq

from ._link import Link, LinkEvent

# The wait before another connection is opened, after several that ended and brought no answer.
REOPEN_MIN_SECONDS = 0.02
REOPEN_MAX_SECONDS = 1.0


class Links:
    """See the module."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        self.endpoint = endpoint
        self.current: Optional[Link] = None
        # Since when attempts to connect fail, without one that went well.
        self.failing_since: Optional[float] = None
        # What is wrong with the connection, as a sentence; None when nothing is known.
        self.trouble: Optional[str] = None
        self.reopen_at = 0.0
        self._reopen_seconds = 0.0
        self._retired: List[Link] = []
        self._unused: List[Link] = []
        self._context = context

    def all(self) -> List[Link]:
        """The links that something may come from."""
        return [*self._retired] if self.current is None else [self.current, *self._retired]

    def open(self, now: float) -> Optional[Link]:
        """The link to send on; None while it is too early for another one."""
        if self.current is None and now >= self.reopen_at:
            self.current = Link(self._context, self.endpoint)
        return self.current

    def retire(self, link: Link) -> None:
        """Nothing more is sent on it; it is closed when nothing more can come."""
        if link is self.current:
            self.current = None
            self._retired.append(link)

    def note_answer(self) -> None:
        self._reopen_seconds = 0.0

    def note_event(self, link: Link, event: LinkEvent, now: float) -> None:
        is_current = link is self.current
        if event in (LinkEvent.DOWN, LinkEvent.HANDSHAKE_FAILED):
            link.pending.clear()
            self.retire(link)
            self.reopen_at = now + self._reopen_seconds
            self._reopen_seconds = min(
                max(2 * self._reopen_seconds, REOPEN_MIN_SECONDS), REOPEN_MAX_SECONDS
            )
        if not is_current:
            return
        if event is LinkEvent.UP:
            self.failing_since = None
            self.trouble = None
        elif event is LinkEvent.DOWN:
            self.trouble = f"The connection to {self.endpoint} ended."
        else:
            if self.failing_since is None:
                self.failing_since = now
            self.trouble = (
                f"Nothing is listening at {self.endpoint}."
                if event is LinkEvent.REFUSED
                else f"What listens at {self.endpoint} does not complete the ZeroMQ handshake."
            )

    def drop_idle(self, *, keep_trying: bool) -> None:
        """Drops links that nothing can come from, and one that no one needs to come up."""
        for link in [link for link in self._retired if not link.pending]:
            self._retired.remove(link)
            self._unused.append(link)
        if not keep_trying and (self.current is None or not self.current.is_up):
            self.failing_since = None
            if self.current is not None:
                self._unused.append(self.current)
                self.current = None

    def close_unused(self) -> None:
        """Closes what has been dropped; nobody may wait for its sockets any more."""
        for link in self._unused:
            link.close()
        self._unused = []

    def close(self) -> None:
        for link in [*self.all(), *self._unused]:
            link.close()
        self.current = None
        self._retired = []
        self._unused = []
