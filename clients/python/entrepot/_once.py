"""The numbers of a client's writes under one session (docs/PROTOCOL.md, safe retries).

A write that is sent again with the same session and number counts once. The server forgets
outcomes up to ``done``, the highest number up to which every write has ended here.

Invariants: numbers rise from 1 and none is given twice; ``done`` never goes back; at most
``WINDOW`` numbers above ``done`` are given out.

Thread safety: none; it belongs to the engine.
"""

from __future__ import annotations

from typing import Set

# The server takes 1,024 numbers above done; the rest is left as a margin.
WINDOW = 1000


class Session:
    """A session that the server gave out, in the history that the store had then."""

    def __init__(self, session_id: str, history: str) -> None:
        self.id = session_id
        self.history = history
        self.done = 0
        self._next = 1
        self._ended: Set[int] = set()

    def has_room(self, count: int) -> bool:
        return self._next - 1 + count - self.done <= WINDOW

    def take(self, count: int) -> range:
        """``count`` new numbers. Needs has_room(count)."""
        assert self.has_room(count)
        numbers = range(self._next, self._next + count)
        self._next += count
        return numbers

    def end(self, numbers: range) -> None:
        """These writes have ended: by an answer, an error or because their caller gave up."""
        self._ended.update(numbers)
        while self.done + 1 in self._ended:
            self.done += 1
            self._ended.remove(self.done)
