"""What the mirrors of both clients show: a read-only mapping from keys to values.

Thread safety: any thread may read; one takes in what comes.
"""

from __future__ import annotations

import threading
from typing import (
    Any,
    Callable,
    Dict,
    ItemsView,
    Iterator,
    KeysView,
    Mapping,
    Optional,
    ValuesView,
)

from ._inbox import Batch
from ._mirror_state import MirrorState
from .events import Difference, Token
from .results import Item, Key

OnChange = Callable[[Difference], object]


class MirrorContents:
    """The dictionary behind a mirror, and what ended it."""

    def __init__(self, on_change: Optional[OnChange]) -> None:
        self._on_change = on_change
        self._mu = threading.Lock()
        self._state = MirrorState()
        self._ended_by: Optional[BaseException] = None

    def take(self, batch: Batch) -> bool:
        """Shows what came, and then calls back. Whether a whole snapshot is shown."""
        with self._mu:
            differences = self._state.take(batch)
            is_whole = self._state.token is not None
        if self._on_change is not None:
            for difference in differences:
                self._on_change(difference)
        return is_whole

    def end(self, error: BaseException) -> None:
        """Every later use raises it. The first error counts."""
        with self._mu:
            self._ended_by = self._ended_by or error

    def items(self) -> Dict[Key, Item]:
        """A copy, of one instant."""
        with self._mu:
            self._check()
            return dict(self._state.items)

    def item(self, key: Key) -> Optional[Item]:
        with self._mu:
            self._check()
            return self._state.items.get(key)

    def token(self) -> Optional[Token]:
        with self._mu:
            self._check()
            return self._state.token

    def count(self) -> int:
        with self._mu:
            self._check()
            return len(self._state.items)

    def _check(self) -> None:
        if self._ended_by is not None:
            raise self._ended_by


class MirrorView(Mapping[Key, Any]):
    """The reading side of a mirror; ``keys``, ``values`` and ``items`` are of one instant each."""

    def __init__(self, contents: MirrorContents) -> None:
        self._contents = contents

    def item(self, key: Key) -> Optional[Item]:
        """The entry with its version, None where there is none."""
        return self._contents.item(key)

    @property
    def token(self) -> Optional[Token]:
        """The instant that is shown."""
        return self._contents.token()

    def __getitem__(self, key: Key) -> Any:
        item = self._contents.item(key)
        if item is None:
            raise KeyError(key)
        return item.value

    def __len__(self) -> int:
        return self._contents.count()

    def __iter__(self) -> Iterator[Key]:
        return iter(self._contents.items())

    def copy(self) -> Dict[Key, Any]:
        """All of it, of one instant."""
        return {key: item.value for key, item in self._contents.items().items()}

    def keys(self) -> KeysView[Key]:
        return self.copy().keys()

    def values(self) -> ValuesView[Any]:
        return self.copy().values()

    def items(self) -> ItemsView[Key, Any]:
        return self.copy().items()
