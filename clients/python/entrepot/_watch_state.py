"""What a watch has been told and what it is to ask for next: a machine without I/O or clock.

    ASKING ──accepted──▶ TELLING ──synced──▶ LIVE
      ▲                     │ cut off, error    │
      └─────────────────────┴───────────────────┘

Whoever drives it sends ``request()`` while it is ASKING, says what came of that (``accepted``,
``refused``), hands over the notifications (``told``), and says when the connection they came on is
no use any more (``cut_off``). What it gives back is for the reader of the watch, in order.

Invariants:
 1. Everything up to ``token`` has been given back, and nothing is given back twice after it.
 2. A snapshot that was broken off, and a token that the server cannot serve, are told by a Resync
    before the next snapshot's first event.
 3. The reader has at most ``credit`` events that it has not taken, but for one transaction.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional

from . import events
from ._codec import Request
from ._inbox import Batch
from .errors import TOKEN_IS_NO_USE, EntrepotError, InvalidArgument
from .events import Resync, Synced, Token, WatchEvent
from .results import Key

# The server tells something each second; after so much silence the connection counts as dead.
SILENCE_SECONDS = 3.0
# Events that wait for their reader. A server's round trip brings half of them.
CREDIT = 1024


@dataclass(frozen=True)
class WatchOptions:
    """The parameters of ``watch``. Without ``since`` and with ``snapshot``, entries come first."""

    key_prefix: Key = ""
    query: Any = None
    since: Optional[Token] = None
    snapshot: bool = True
    values: bool = True
    credit: int = CREDIT

    def __post_init__(self) -> None:
        if self.credit < 1:
            raise InvalidArgument(f"credit is 1 or more, not {self.credit!r}")


class Phase(enum.Enum):
    """See the module."""

    ASKING = enum.auto()
    TELLING = enum.auto()
    LIVE = enum.auto()


class WatchState:
    """See the module. Thread safety: none; it belongs to the engine."""

    def __init__(self, options: WatchOptions) -> None:
        self.phase = Phase.ASKING
        # Whether it was ever accepted.
        self.has_begun = False
        # Everything up to here was told; None: nothing to resume from.
        self.token = options.since
        self._options = options
        self._history = ""
        self._takes_snapshot = options.since is None and options.snapshot
        # Events given back that the reader has not taken, and that the server may send still.
        self._untaken = 0
        self._allowed = 0

    def request(self) -> Request:
        """The ``watch`` to send. Needs phase ASKING."""
        assert self.phase is Phase.ASKING
        resumes = self.token is not None and not self._takes_snapshot
        self._allowed = max(1, self._options.credit - self._untaken)
        options = {
            "key_prefix": self._options.key_prefix or None,
            "query": self._options.query,
            "since": self.token if resumes else None,
            "snapshot": self._takes_snapshot,
            "credit": self._allowed,
        }
        return Request.make(
            "watch", [], options, switched_off=() if self._options.values else ("values",)
        )

    def accepted(self, result: Mapping[Any, Any]) -> int:
        """The server's number of the watch. Raises KeyError where the result lacks something."""
        number, revision = int(result["watch"]), int(result["version"])
        self._history = str(result["history"])
        if self.token is None and not self._takes_snapshot:
            self.token = Token(self._history, revision)
        self.phase = Phase.TELLING
        self.has_begun = True
        return number

    def refused(self, error: EntrepotError) -> List[WatchEvent]:
        """The server cannot serve what was asked for. Raises the error where nothing helps."""
        self.phase = Phase.ASKING
        if error.code not in TOKEN_IS_NO_USE:
            raise error
        return self._begin_again(error.code)

    def cut_off(self) -> List[WatchEvent]:
        """Nothing more comes of what was accepted."""
        was_telling = self.phase is Phase.TELLING
        self.phase = Phase.ASKING
        if was_telling and self._takes_snapshot:
            return self._begin_again("interrupted")
        return []

    def told(self, told: List[Mapping[Any, Any]], status: Mapping[Any, Any]) -> Batch:
        """The events of a notification. Raises KeyError or TypeError where one lacks something."""
        batch: List[WatchEvent] = [*events.read_all(told)]
        self._allowed -= len(told)
        # The reader takes no event of a kind that was left out.
        self._untaken += len(batch)
        token = Token(self._history, int(status["version"]))
        if status.get("synced", False):
            self.phase = Phase.LIVE
            self._takes_snapshot = False
            batch.append(Synced(token))
            self._untaken += 1
        if not self._takes_snapshot:
            self.token = token
        return Batch(batch, None if self._takes_snapshot else token)

    def taken(self, count: int) -> None:
        """The reader has taken so many events."""
        self._untaken -= count

    def credit_due(self) -> int:
        """How many more events the server may be allowed; 0 while it has half of them still."""
        room = self._options.credit - self._untaken - self._allowed
        return room if 2 * room >= self._options.credit else 0

    def granted(self, count: int) -> None:
        """The server has been allowed so many more."""
        self._allowed += count

    def _begin_again(self, reason: str) -> List[WatchEvent]:
        self.token = None
        self._takes_snapshot = True
        self._untaken += 1
        return [Resync(reason)]
