"""A mirror's dictionary, as the batches of a watch make it: a machine without I/O.

While a snapshot comes in, it is collected beside what is shown, and takes its place when it is
whole. So what is shown is always the store at one instant.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Union

from ._inbox import Batch
from .events import Change, Difference, Resync, Set, Snapshot, Synced, Token, Touch
from .results import Item, Key


class MirrorState:
    """See the module. Thread safety: none."""

    def __init__(self) -> None:
        self.items: Dict[Key, Item] = {}
        # The instant that is shown; None before the first snapshot was whole.
        self.token: Optional[Token] = None
        # The snapshot that comes in.
        self._collected: Optional[Dict[Key, Item]] = {}

    def take(self, batch: Batch) -> List[Difference]:
        """What differs now in what is shown, in the order in which it came."""
        differences: List[Difference] = []
        for event in batch.events:
            if isinstance(event, Resync):
                self._collected = {}
            elif isinstance(event, Synced):
                differences += self._show_collected()
            elif self._collected is not None:
                _apply(event, self._collected)
            else:
                differences += _apply(event, self.items)
        if batch.token is not None:
            self.token = batch.token
        return differences

    def _show_collected(self) -> List[Difference]:
        if self._collected is None:
            return []  # The watch was resumed.
        before, self.items, self._collected = self.items, self._collected, None
        gone = [item for key, item in before.items() if key not in self.items]
        others = [item for key, item in self.items.items() if item != before.get(key)]
        return [
            *[Difference(item.key, item, None) for item in gone],
            *[Difference(item.key, before.get(item.key), item) for item in others],
        ]


def _apply(event: Union[Snapshot, Change], items: Dict[Key, Item]) -> List[Difference]:
    before = items.get(event.key)
    after: Optional[Item] = None
    if isinstance(event, (Snapshot, Set)):
        after = Item(event.key, event.value, event.version)
    elif isinstance(event, Touch) and before is not None:
        after = Item(event.key, before.value, event.version)
    if after is not None:
        items[event.key] = after
    else:
        items.pop(event.key, None)
    return [] if before == after else [Difference(event.key, before, after)]
