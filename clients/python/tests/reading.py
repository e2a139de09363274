"""Reading iterators of events in tests, with an end: a missing event fails the test."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable, Dict, Iterable, List, Optional

from entrepot import Delete, Events, Expired, Left, Resync, Set, Snapshot, Synced, Touch, aio
from entrepot.events import WatchEvent

GIVE_UP_SECONDS = 60.0

def read_until(events: Events, is_last: Callable[[WatchEvent], bool]) -> List[WatchEvent]:
    """Takes events up to the first that is the last one."""
    guard = threading.Timer(GIVE_UP_SECONDS, events.close)
    guard.start()
    try:
        taken: List[WatchEvent] = []
        for event in events:
            taken.append(event)
            if is_last(event):
                return taken
    finally:
        guard.cancel()
    raise AssertionError(f"the iteration ended behind {taken}")


def read(events: Events, count: int) -> List[WatchEvent]:
    """Takes so many events."""
    left = list(range(count))
    return read_until(events, lambda event: left.pop() == 0)


def read_synced(events: Events) -> List[WatchEvent]:
    """Takes events up to the next Synced, which is not among those it gives."""
    return read_until(events, is_synced)[:-1]


def is_synced(event: WatchEvent) -> bool:
    return isinstance(event, Synced)


async def read_later(events: aio.Events, count: int) -> List[WatchEvent]:
    """As ``read``, in an event loop."""
    async with asyncio.timeout(GIVE_UP_SECONDS):
        return [await anext(events) for _ in range(count)]


def versions(events: Iterable[WatchEvent]) -> List[int]:
    return [event.version for event in events if not isinstance(event, (Synced, Resync))]


class Told:
    """A reader that keeps what it was told, and holds every key's chain together."""

    def __init__(self) -> None:
        self.entries: Dict[Any, Any] = {}
        self.resyncs: List[str] = []
        self.failure: Optional[AssertionError] = None
        self._versions: Dict[Any, int] = {}

    def take(self, event: WatchEvent) -> None:
        if isinstance(event, Synced):
            return
        if isinstance(event, Resync):
            self.resyncs.append(event.reason)
            self.entries, self._versions = {}, {}
            return
        if not isinstance(event, Snapshot):
            known = self._versions.get(event.key, event.previous_version)
            assert event.previous_version == known < event.version, (known, event)
        self._versions[event.key] = 0 if isinstance(event, (Delete, Expired)) else event.version
        if isinstance(event, (Snapshot, Set)):
            self.entries[event.key] = event.value
        elif not isinstance(event, Touch):
            assert not isinstance(event, Left)
            self.entries.pop(event.key, None)
