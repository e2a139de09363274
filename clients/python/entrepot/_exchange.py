"""A body of one or more requests on its way, with its deadline and what has come of it.

It is made by a client, handed to the engine, and handed back through ``on_end`` exactly once. Then
``responses`` holds the answers to the first requests and, unless that is all of them, ``error``
says what became of the others.
"""

from __future__ import annotations

import enum
from typing import Callable, List, Optional, Sequence

from ._codec import Request, Response
from ._link import Link
from ._once import Session
from .errors import EntrepotError

# The wait before a request is sent again whose error does not name one.
PAUSE_MIN_SECONDS = 0.02
PAUSE_MAX_SECONDS = 1.0


class State(enum.Enum):
    """Where an exchange is. The engine's file draws how one leads to the other."""

    WAITING = enum.auto()
    WRITE_WAITING = enum.auto()
    IN_FLIGHT = enum.auto()
    PAUSED = enum.auto()
    ENDED = enum.auto()


class Exchange:
    """Thread safety: none. It belongs to the engine from ``submit`` until ``on_end``."""

    def __init__(
        self,
        requests: Sequence[Request],
        *,
        created: float,
        timeout_ms: float,
        retries: int,
        on_end: Callable[[Exchange], None],
        held_ms: float = 0,
    ) -> None:
        """``held_ms`` is how long the server is asked to wait before it answers."""
        self.requests = requests
        self.created = created
        self.timeout_ms = timeout_ms + held_ms
        self.deadline = created + self.timeout_ms / 1000
        self._attempt_ms = timeout_ms / (retries + 1) + held_ms
        self.retries = retries
        self.on_end = on_end

        self.responses: List[Response] = []
        self.error: Optional[EntrepotError] = None
        # The link that the last answer came on.
        self.answered_on: Optional[Link] = None

        # The rest is the engine's.
        self.state = State.WAITING
        self.order = 0
        # The requests as they are sent, their msgids rising from first_msgid.
        self.parts: List[bytes] = []
        self.first_msgid = 0
        self.session: Optional[Session] = None
        self.numbers = range(0)
        # Where its session was lost after an attempt that may have run: the history it was of.
        self.lost_history: Optional[str] = None
        # How often it was sent without an answer that says that it did not run.
        self.sends_unaccounted = 0
        self.retries_left = retries
        self.backoff_seconds = 0.0
        self.attempt_ends: Optional[float] = None
        self.resume_at: Optional[float] = None
        self.link: Optional[Link] = None

    @property
    def attempt_seconds(self) -> float:
        """The share of the deadline after which an attempt without an answer is repeated."""
        return self._attempt_ms / 1000

    @property
    def write_count(self) -> int:
        return sum(request.is_write for request in self.requests)

    @property
    def needs_once(self) -> bool:
        return self.retries > 0 and self.write_count > 0

    @property
    def has_ended(self) -> bool:
        return self.state is State.ENDED

    @property
    def maybe_applied(self) -> bool:
        return self.sends_unaccounted > 0

    @property
    def next_msgid(self) -> int:
        """The msgid of the first request that has no final answer yet."""
        return self.first_msgid + len(self.responses)

    def msgids(self) -> List[int]:
        """Those of the requests that have no final answer yet."""
        return list(range(self.next_msgid, self.first_msgid + len(self.requests)))

    def body(self) -> bytes:
        """The requests that have no final answer yet."""
        return b"".join(self.parts[len(self.responses) :])

    def account_for_send(self) -> None:
        """The latest attempt did not run. Only if it was the only one, none did."""
        if self.sends_unaccounted == 1:
            self.sends_unaccounted = 0

    def pause_seconds(self, response: Response) -> float:
        """How long to wait after an error that says: come back later."""
        retry_after_ms = None if response.error is None else response.error.get("retry_after_ms")
        if isinstance(retry_after_ms, (int, float)):
            return retry_after_ms / 1000
        longer = max(2 * self.backoff_seconds, PAUSE_MIN_SECONDS)
        self.backoff_seconds = min(longer, PAUSE_MAX_SECONDS)
        return self.backoff_seconds
