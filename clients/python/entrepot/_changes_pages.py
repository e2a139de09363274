"""The pages of ``changes`` on the way to the reader of an iterator: when it ends, and its token."""

from __future__ import annotations

from collections import deque
from typing import Deque, Optional

from .events import Change, ChangesPage, Token


class ChangesPages:
    """Thread safety: none. Invariant: everything up to ``token`` has been taken."""

    def __init__(self, since: Token, *, goes_on: bool) -> None:
        """``goes_on``: also behind a page that has all there is, until one comes empty."""
        self.token = since
        self.has_ended = False
        self._goes_on = goes_on
        self._events: Deque[Change] = deque()
        self._token_behind = since

    def put(self, page: ChangesPage) -> None:
        """The next page. Needs that everything before it was taken."""
        self._events.extend(page.events)
        self._token_behind = page.token
        if not self._events:
            self.token = page.token
        self.has_ended = not page.more and not (self._goes_on and page.events)

    def take(self) -> Optional[Change]:
        """The next change; None when there is none here."""
        if not self._events:
            return None
        event = self._events.popleft()
        if not self._events:
            self.token = self._token_behind
        return event
