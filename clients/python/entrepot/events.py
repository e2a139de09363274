"""What watching gives: one class for each kind of event of docs/CLIENTS.md, section 9.

    for event in client.watch("config:"):
        match event:
            case Snapshot(key, value) | Set(key, value):
                ...
            case Delete(key) | Expired(key):
                ...

Fields are named as on the wire. ``value`` is ``None`` where the caller asked for no values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Tuple, Union

from .results import Item, Key


class Token(NamedTuple):
    """A point in the sequence of changes: it means the same for ever, and can be stored."""

    history: str
    revision: int


@dataclass(frozen=True)
class Snapshot:
    """This entry was there when the watch began."""

    key: Key
    value: Any
    version: int
    expires_at_ms: Optional[int] = None


@dataclass(frozen=True)
class Synced:
    """Everything up to ``token`` has been told."""

    token: Token


@dataclass(frozen=True)
class Set:
    """A value was written."""

    key: Key
    value: Any
    version: int
    previous_version: int
    expires_at_ms: Optional[int] = None
    cause: str = "client"


@dataclass(frozen=True)
class Delete:
    """The entry was deleted or, as ``cause`` then says, evicted."""

    key: Key
    version: int
    previous_version: int
    cause: str = "client"


@dataclass(frozen=True)
class Expired:
    """The entry's time was over."""

    key: Key
    version: int
    previous_version: int


@dataclass(frozen=True)
class Touch:
    """The entry has another time to live, or none any more."""

    key: Key
    version: int
    previous_version: int
    expires_at_ms: Optional[int] = None
    cause: str = "client"


@dataclass(frozen=True)
class Left:
    """In a watch with a query: the entry does not match it now."""

    key: Key
    version: int
    previous_version: int
    cause: str = "client"


@dataclass(frozen=True)
class Resync:
    """What was told may be wrong; what follows is told from the beginning.

    ``reason`` is ``"interrupted"`` (before the snapshot was whole), ``"history_lost"`` or
    ``"unknown_history"``.
    """

    reason: str


# What happened to one key.
Change = Union[Set, Delete, Expired, Touch, Left]

WatchEvent = Union[Snapshot, Synced, Change, Resync]


class Difference(NamedTuple):
    """What a mirror's callback is told: an entry before and after, None where there was none."""

    key: Key
    before: Optional[Item]
    after: Optional[Item]


@dataclass(frozen=True)
class ChangesPage:
    """A page of ``changes``: everything up to ``token``. ``more``: there is more already."""

    events: List[Change]
    token: Token
    more: bool


def read_all(events: List[Mapping[Any, Any]]) -> List[Union[Snapshot, Change]]:
    """The events of a message; kinds that are not known are left out.

    Raises KeyError or TypeError where a field is missing.
    """
    known = [(_READERS.get(_kind(event)), event) for event in events]
    return [read(event) for read, event in known if read is not None]


def read_changes(events: List[Mapping[Any, Any]]) -> List[Change]:
    """As ``read_all``, for messages that hold no snapshot."""
    return [event for event in read_all(events) if not isinstance(event, Snapshot)]


def _kind(event: Mapping[Any, Any]) -> Tuple[str, bool]:
    """The operation, and whether it is an entry of a snapshot or a removal by time."""
    op = str(event["op"])
    if op == "set":
        return op, bool(event.get("snapshot", False))
    return op, op == "delete" and event["cause"] == "expired"


def _read_snapshot(event: Mapping[Any, Any]) -> Snapshot:
    return Snapshot(
        event["key"], event.get("value"), int(event["version"]), event.get("expires_at_ms")
    )


def _read_set(event: Mapping[Any, Any]) -> Set:
    return Set(
        event["key"],
        event.get("value"),
        int(event["version"]),
        int(event["previous_version"]),
        event.get("expires_at_ms"),
        event["cause"],
    )


def _read_delete(event: Mapping[Any, Any]) -> Delete:
    return Delete(
        event["key"], int(event["version"]), int(event["previous_version"]), event["cause"]
    )


def _read_expired(event: Mapping[Any, Any]) -> Expired:
    return Expired(event["key"], int(event["version"]), int(event["previous_version"]))


def _read_touch(event: Mapping[Any, Any]) -> Touch:
    return Touch(
        event["key"],
        int(event["version"]),
        int(event["previous_version"]),
        event.get("expires_at_ms"),
        event["cause"],
    )


def _read_left(event: Mapping[Any, Any]) -> Left:
    return Left(event["key"], int(event["version"]), int(event["previous_version"]), event["cause"])


_READERS: Mapping[Tuple[str, bool], Callable[[Mapping[Any, Any]], Union[Snapshot, Change]]] = {
    ("set", True): _read_snapshot,
    ("set", False): _read_set,
    ("delete", False): _read_delete,
    ("delete", True): _read_expired,
    ("touch", False): _read_touch,
    ("left", False): _read_left,
}
