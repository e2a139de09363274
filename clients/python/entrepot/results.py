"""What the methods give back.

Fields are named as on the wire (docs/PROTOCOL.md). ``version`` is the revision of the entry's last
change, or for a method on many entries the revision of the instant it shows. ``replayed`` is true
when the result is that of an earlier attempt of the same call: then ``value``,
``previous_version`` and ``results`` are ``None``, except ``value`` of ``increment``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, List, Mapping, Optional, Union

Key = Union[str, bytes]


@dataclass(frozen=True)
class Hello:
    """Who the server is and what it can do."""

    server: str
    protocol: int
    history: str
    version: int
    features: List[str]
    limits: Mapping[str, int]
    endpoints: Mapping[str, Any]
    sync: Any
    now_ms: int


@dataclass(frozen=True)
class Entry:
    """A value with its version and what is left of its life (``None``: it does not expire).

    ``unchanged`` is true, and there is no value, when the version is the caller's own.
    """

    key: Key
    value: Any
    version: int
    ttl_ms: Optional[int] = None
    unchanged: bool = False


@dataclass(frozen=True)
class Item:
    """One entry of a search, of ``get_many``, or as ``update`` has written it.

    ``value`` and ``version`` are ``None`` when the search was asked for keys only.
    """

    key: Key
    value: Any = None
    version: Optional[int] = None


@dataclass(frozen=True)
class SetResult:
    """``created``, ``updated`` or ``conflict``; with a conflict the value that is there."""

    status: str
    version: int
    value: Any = None
    previous_version: Optional[int] = None
    replayed: bool = False

    @property
    def conflict(self) -> bool:
        return self.status == "conflict"


@dataclass(frozen=True)
class DeleteResult:
    """``deleted``, ``not_found`` or ``conflict``; with a conflict the value that is there."""

    status: str
    version: int
    value: Any = None
    previous_version: Optional[int] = None
    replayed: bool = False

    @property
    def conflict(self) -> bool:
        return self.status == "conflict"


@dataclass(frozen=True)
class IncrementResult:
    """``created``, ``updated`` or, beyond the bounds, ``conflict``; ``value`` is what is there."""

    status: str
    value: Any
    version: int
    replayed: bool = False

    @property
    def conflict(self) -> bool:
        return self.status == "conflict"


@dataclass(frozen=True)
class AppendResult:
    """Of ``append`` and ``prepend``: ``length`` counts the bytes of the content."""

    status: str
    version: int
    length: int
    replayed: bool = False


@dataclass(frozen=True)
class TouchResult:
    """``updated`` or ``not_found``."""

    status: str
    version: int
    replayed: bool = False


@dataclass(frozen=True)
class GetManyResult:
    """One instant: an item, or ``None``, for each key in the order asked. Iterates its items."""

    items: List[Optional[Item]]
    version: int

    def __iter__(self) -> Iterator[Optional[Item]]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Optional[Item]:
        return self.items[index]


@dataclass(frozen=True)
class OperationResult:
    """What one operation of a transaction gave: the fields that its method alone would give."""

    status: str
    version: int
    value: Any = None
    previous_version: Optional[int] = None
    length: Optional[int] = None
    ttl_ms: Optional[int] = None


@dataclass(frozen=True)
class TransactResult:
    """``committed`` or ``rejected``; ``results`` has one entry for each operation that ran.

    Rejected means that a condition did not hold and ``otherwise`` ran, or that an operation met a
    conflict and nothing was changed. Then the last result is that conflict, and a write before it,
    which was undone, has None in its place.
    """

    status: str
    version: int
    results: Optional[List[Optional[OperationResult]]] = None
    replayed: bool = False

    @property
    def committed(self) -> bool:
        return self.status == "committed"


@dataclass(frozen=True)
class Page:
    """A page of ``find`` or ``scan``: exact at ``version``; the last one has no ``cursor``.

    ``examined`` is the number of index entries looked at.
    """

    status: str
    items: List[Item]
    cursor: Optional[bytes]
    version: int
    examined: int


@dataclass(frozen=True)
class CountResult:
    """Exact when nothing that matches changed between ``version`` and ``version_end``."""

    count: int
    version: int
    version_end: int


@dataclass(frozen=True)
class DeletePrefixResult:
    """``more`` is true when the limit ended it."""

    deleted: int
    more: bool
    version: int
    replayed: bool = False
