"""The method list: for each method how its request is made and how its result is read.

This is the one place where a method's name, parameters and documentation stand. The blocking
client, the asyncio client, pipelines and transactions all take their methods from here.

A key is text or bytes. Times are milliseconds. ``ack`` is ``"applied"`` (answer at once),
``"durable"`` (answer when it is on disk) or left out (as the server is set).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Generic, List, Mapping, Optional, Sequence, Tuple, TypeVar

from ._codec import Request
from .errors import BadReply, InvalidArgument
from .events import ChangesPage, Token, read_changes
from .results import (
    AppendResult,
    CountResult,
    DeletePrefixResult,
    DeleteResult,
    Entry,
    GetManyResult,
    Hello,
    IncrementResult,
    Item,
    Key,
    OperationResult,
    Page,
    SetResult,
    TouchResult,
    TransactResult,
)
from .transactions import Condition, Operation

T = TypeVar("T")

Result = Mapping[Any, Any]

CLIENT_NAME = "python/1.0.0"
PROTOCOL_VERSION = 1


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request and the reading of its result."""

    request: Request
    parse: Callable[[Result], T]
    # How long the server is asked to wait before it answers.
    held_ms: float = 0

    def read(self, result: Result) -> T:
        """The typed result. Raises BadReply when a field is missing."""
        try:
            return self.parse(result)
        except (KeyError, TypeError, ValueError) as error:
            raise BadReply(
                f"the result of {self.request.method} is not what the protocol says: {error!r}"
            ) from error


def hello() -> Call[Hello]:
    """Who the server is, what it can do and where its limits are."""
    options = {"client": CLIENT_NAME, "protocol": PROTOCOL_VERSION}
    return Call(Request.make("hello", [], options), _read_hello)


def hello_with_session() -> Request:
    """The request by which a client gets the session for its ``once``."""
    options = {"client": CLIENT_NAME, "protocol": PROTOCOL_VERSION, "session": True}
    return Request.make("hello", [], options)


def ping() -> Call[None]:
    """Returns when the server has answered."""
    return Call(Request.make("ping", []), lambda result: None)


def get(key: Key, *, ack: Optional[str] = None) -> Call[Any]:
    """The value, or None where there is none. ``entry`` tells a nil value from no value."""
    return Call(_keyed("get", key, [], {"ack": ack}), _read_value)


def entry(
    key: Key, *, unless_version: Optional[int] = None, ack: Optional[str] = None
) -> Call[Optional[Entry]]:
    """Value, version and TTL, or None where there is none.

    With the present version as ``unless_version`` the entry comes without its value and
    ``unchanged``.
    """
    request = _keyed("get", key, [], {"unless_version": unless_version, "ack": ack})
    return Call(request, lambda result: _read_entry(key, result))


def set(  # noqa: A001 - the protocol's name
    key: Key,
    value: Any,
    *,
    ttl_ms: Optional[int] = None,
    expires_at_ms: Optional[int] = None,
    keep_ttl: bool = False,
    if_version: Optional[int] = None,
    if_absent: bool = False,
    if_present: bool = False,
    previous: bool = False,
    ack: Optional[str] = None,
) -> Call[SetResult]:
    """Sets the value if the conditions hold; without ``keep_ttl`` or a TTL it does not expire.

    ``if_version=0`` means that the key must not exist. ``previous`` hands back the old value.
    """
    options = {
        "ttl_ms": ttl_ms,
        "expires_at_ms": expires_at_ms,
        "keep_ttl": keep_ttl,
        "if_version": if_version,
        "if_absent": if_absent,
        "if_present": if_present,
        "previous": previous,
        "ack": ack,
    }
    return Call(_keyed("set", key, [value], options, is_write=True), _read_set)


def delete(
    key: Key,
    *,
    if_version: Optional[int] = None,
    previous: bool = False,
    ack: Optional[str] = None,
) -> Call[DeleteResult]:
    """Removes the entry. ``previous`` hands back its value."""
    options = {"if_version": if_version, "previous": previous, "ack": ack}
    return Call(_keyed("delete", key, [], options, is_write=True), _read_delete)


def increment(
    key: Key,
    by: float = 1,
    *,
    initial: Optional[float] = None,
    min: Optional[float] = None,  # noqa: A002 - the protocol's name
    max: Optional[float] = None,  # noqa: A002 - the protocol's name
    ttl_ms: Optional[int] = None,
    ack: Optional[str] = None,
) -> Call[IncrementResult]:
    """Adds to a number; what is not there counts as ``initial`` (0).

    A sum beyond ``min``, ``max`` or the range of its type is a conflict and changes nothing. The
    TTL stays; ``ttl_ms`` counts when the entry is created.
    """
    options = {"initial": initial, "min": min, "max": max, "ttl_ms": ttl_ms, "ack": ack}
    return Call(_keyed("increment", key, [by], options, is_write=True), _read_increment)


def append(key: Key, data: Key, *, ack: Optional[str] = None) -> Call[AppendResult]:
    """Adds text or bytes behind the value; creates the entry when it is absent."""
    return Call(_keyed("append", key, [data], {"ack": ack}, is_write=True), _read_append)


def prepend(key: Key, data: Key, *, ack: Optional[str] = None) -> Call[AppendResult]:
    """Adds text or bytes before the value; creates the entry when it is absent."""
    return Call(_keyed("prepend", key, [data], {"ack": ack}, is_write=True), _read_append)


def touch(key: Key, ttl_ms: Optional[int], *, ack: Optional[str] = None) -> Call[TouchResult]:
    """Gives the entry a new TTL; None makes it permanent."""
    return Call(_keyed("touch", key, [ttl_ms], {"ack": ack}, is_write=True), _read_touch)


def get_many(keys: Sequence[Key], *, ack: Optional[str] = None) -> Call[GetManyResult]:
    """The entries of up to 1,000 keys at one instant, in the order asked."""
    asked = [_checked(key) for key in keys]
    request = Request.make("get_many", [asked], {"ack": ack})
    return Call(request, lambda result: _read_many(asked, result))


def transact(
    then: Sequence[Operation],
    *,
    conditions: Sequence[Condition] = (),
    otherwise: Sequence[Operation] = (),
    ack: Optional[str] = None,
) -> Call[TransactResult]:
    """Runs ``then`` if all conditions hold, else ``otherwise``: all or nothing, at one instant."""
    plan = {
        "if": [condition.to_wire() for condition in conditions],
        "then": [operation.to_wire() for operation in then],
        "else": [operation.to_wire() for operation in otherwise],
    }
    used = {name: steps for name, steps in plan.items() if steps or name == "then"}
    request = Request.make("transact", [used], {"ack": ack}, is_write=True)
    return Call(request, _read_transact)


def find_page(
    query: Any,
    *,
    key_prefix: Optional[Key] = None,
    limit: Optional[int] = None,
    cursor: Optional[bytes] = None,
    values: bool = True,
    order: Optional[str] = None,
    ack: Optional[str] = None,
) -> Call[Page]:
    """One page of the keys whose value starts with ``query``, or matches it.

    A query is text or bytes (a prefix) or ``{"prefix": x}``, ``{"equals": x}``,
    ``{"from": a, "to": b}``. ``order`` is ``"asc"`` or ``"desc"``.
    """
    options = {
        "key_prefix": key_prefix,
        "limit": limit,
        "cursor": cursor,
        "values": values,
        "order": order,
        "ack": ack,
    }
    return Call(Request.make("find", [query], options), _read_page)


def scan_page(
    key_prefix: Key,
    *,
    limit: Optional[int] = None,
    cursor: Optional[bytes] = None,
    values: bool = True,
    order: Optional[str] = None,
    ack: Optional[str] = None,
) -> Call[Page]:
    """One page of the keys that start with ``key_prefix``, in the order of the keys."""
    options = {"limit": limit, "cursor": cursor, "values": values, "order": order, "ack": ack}
    return Call(Request.make("scan", [key_prefix], options), _read_page)


def count(
    *, key_prefix: Optional[Key] = None, query: Any = None, ack: Optional[str] = None
) -> Call[CountResult]:
    """How many entries match the prefix and the query."""
    request = Request.make("count", [], {"key_prefix": key_prefix, "query": query, "ack": ack})
    return Call(
        request,
        lambda result: CountResult(result["count"], result["version"], result["version_end"]),
    )


def delete_prefix(
    key_prefix: Key, *, limit: Optional[int] = None, ack: Optional[str] = None
) -> Call[DeletePrefixResult]:
    """Removes entries whose key starts with the prefix, ``limit`` of them at most."""
    request = Request.make(
        "delete_prefix", [key_prefix], {"limit": limit, "ack": ack}, is_write=True
    )
    return Call(
        request,
        lambda result: DeletePrefixResult(
            result["deleted"], result["more"], result["version"], _replayed(result)
        ),
    )


def changes_page(
    since: Tuple[str, int],
    *,
    key_prefix: Optional[Key] = None,
    limit: Optional[int] = None,
    wait_ms: Optional[int] = None,
    values: bool = True,
) -> Call[ChangesPage]:
    """Changes after the token ``since``, oldest first: at most about ``limit`` (1,000) of them.

    With ``wait_ms`` the server waits so long for a first one; the deadline is longer by that.
    """
    token = Token(*since)
    options = {"key_prefix": key_prefix or None, "limit": limit, "wait_ms": wait_ms}
    request = Request.make(
        "changes", [token], options, switched_off=() if values else ("values",)
    )
    return Call(
        request,
        lambda result: ChangesPage(
            read_changes(result["events"]),
            Token(token.history, int(result["version"])),
            bool(result["more"]),
        ),
        held_ms=wait_ms or 0,
    )


def sync() -> Call[int]:
    """Returns the version up to which all that this connection has written is on disk."""
    return Call(Request.make("sync", []), lambda result: int(result["version"]))


def stats() -> Call[Mapping[str, Any]]:
    """The server's counters and gauges by name."""
    return Call(Request.make("stats", []), dict)


def _checked(key: Key) -> Key:
    if not isinstance(key, (str, bytes)):
        raise InvalidArgument(f"a key is str or bytes, not {type(key).__name__}")
    return key


def _keyed(
    method: str,
    key: Key,
    params: List[Any],
    options: Mapping[str, Any],
    *,
    is_write: bool = False,
) -> Request:
    return Request.make(method, [_checked(key), *params], options, is_write=is_write)


def _replayed(result: Result) -> bool:
    return bool(result.get("replayed", False))


def _read_hello(result: Result) -> Hello:
    return Hello(
        server=result["server"],
        protocol=result["protocol"],
        history=result["history"],
        version=result["version"],
        features=result["features"],
        limits=result["limits"],
        endpoints=result["endpoints"],
        sync=result["sync"],
        now_ms=result["now_ms"],
    )


def _read_value(result: Result) -> Any:
    return result["value"] if result["status"] == "found" else None


def _read_entry(key: Key, result: Result) -> Optional[Entry]:
    if result["status"] == "not_found":
        return None
    if result["status"] == "unchanged":
        return Entry(key, None, result["version"], result.get("ttl_ms"), unchanged=True)
    return Entry(key, result["value"], result["version"], result.get("ttl_ms"))


def _read_set(result: Result) -> SetResult:
    return SetResult(
        result["status"],
        result["version"],
        result.get("value"),
        result.get("previous_version"),
        _replayed(result),
    )


def _read_delete(result: Result) -> DeleteResult:
    return DeleteResult(
        result["status"],
        result["version"],
        result.get("value"),
        result.get("previous_version"),
        _replayed(result),
    )


def _read_increment(result: Result) -> IncrementResult:
    return IncrementResult(
        result["status"], result.get("value"), result["version"], _replayed(result)
    )


def _read_append(result: Result) -> AppendResult:
    return AppendResult(result["status"], result["version"], result["length"], _replayed(result))


def _read_touch(result: Result) -> TouchResult:
    return TouchResult(result["status"], result["version"], _replayed(result))


def _read_many(keys: Sequence[Key], result: Result) -> GetManyResult:
    items = result["items"]
    if len(items) != len(keys):
        raise ValueError(f"{len(items)} items for {len(keys)} keys")
    return GetManyResult(
        [None if item is None else Item(key, item[0], item[1]) for key, item in zip(keys, items)],
        result["version"],
    )


def _read_transact(result: Result) -> TransactResult:
    results = result.get("results")
    return TransactResult(
        result["status"],
        result["version"],
        None if results is None else [_read_operation(one) for one in results],
        _replayed(result),
    )


def _read_operation(result: Result) -> Optional[OperationResult]:
    if not result:
        return None  # A write that was undone.
    return OperationResult(
        status=result["status"],
        version=result["version"],
        value=result.get("value"),
        previous_version=result.get("previous_version"),
        length=result.get("length"),
        ttl_ms=result.get("ttl_ms"),
    )


def _read_page(result: Result) -> Page:
    keys = result["keys"]
    values = result.get("values", [None] * len(keys))
    versions = result.get("versions", [None] * len(keys))
    return Page(
        status=result["status"],
        items=[Item(*fields) for fields in zip(keys, values, versions)],
        cursor=result.get("cursor"),
        version=result["version"],
        examined=result["examined"],
    )
