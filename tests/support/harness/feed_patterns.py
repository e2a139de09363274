"""What the change feed tells, held against the `told` and `published` of a step.

The format is documented in tests/vectors/README.md; this module is its reference implementation. It
reads no socket: who does hands over bodies and frames.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import wire
from .vectors import Mismatch, Scope

# Every event has these fields, whatever it tells.
EVENT_FIELDS = {"key": ("str", "bin"), "op": ("str",), "cause": ("str",), "version": ("int",),
                "previous_version": ("int",)}


@dataclasses.dataclass(frozen=True)
class Notification:
    """One notification of a watch, and the frames in front of it."""

    envelope: List[bytes]
    watch: int
    events: List[wire.Item]
    version: wire.Item
    synced: bool
    error: Optional[wire.Item]

    @property
    def is_quiet(self) -> bool:
        """Whether it says no more than that the watch lives."""
        return not self.events and not self.synced and self.error is None


def is_notification(body: bytes) -> bool:
    """Whether it is an array of three: a response is one of four."""
    return body[:1] == b"\x93"


def read_notification(envelope: List[bytes], body: bytes) -> Notification:
    """Mismatch where it has another shape than every notification of a watch."""
    def require(condition: bool) -> None:
        if not condition:
            raise Mismatch(f"no notification of a watch: "
                           f"{[item.to_python() for item in wire.decode_all(body)]!r}")

    items = wire.decode_all(body)
    require(len(items) == 1 and items[0].kind == "array" and len(items[0].value) == 3)
    kind, method, params = items[0].value
    require(kind.value == 2 and method.value == b"events")
    require(params.kind == "array" and len(params.value) == 3)
    watch, events, status = params.value
    require((watch.kind, events.kind, status.kind) == ("int", "array", "map"))
    for event in events.value:
        require(is_event(event))
    version, synced = status.field("version"), status.field("synced")
    require(version is not None and version.kind == "int")
    require(synced is not None and synced.kind == "bool")
    assert version is not None and synced is not None
    return Notification(envelope, watch.value, events.value, version, synced.value,
                        status.field("error"))


def is_event(item: wire.Item) -> bool:
    """Whether it has what every event has, each of its type."""
    if item.kind != "map":
        return False
    fields = {name: item.field(name) for name in EVENT_FIELDS}
    return all(field is not None and field.kind in EVENT_FIELDS[name]
               for name, field in fields.items())


class Told:
    """The notifications of one watch that belong to a step, taken together.

    `pattern` is the `told` of the step.
    """

    def __init__(self, scope: Scope, pattern: Dict[str, Any]):
        self._scope = scope
        self._pattern = pattern
        self._notifications: List[Notification] = []
        self._events: List[wire.Item] = []

    @property
    def watch(self) -> int:
        """The id of the watch that is meant."""
        return int(wire.decode_all(self._scope.encode(self._pattern["watch"]))[0].value)

    def take(self, notification: Notification) -> bool:
        """Takes the next one; True when it is the last that was expected."""
        self._notifications.append(notification)
        self._events += notification.events
        missing = len(self._pattern["events"]) - len(self._events)
        if missing > 0 and (notification.synced or notification.error is not None):
            raise Mismatch(f"the end is told before {missing} of the events: "
                           f"{notification!r}")
        if self._pattern.get("synced") and not notification.synced:
            return False
        if "error" in self._pattern and notification.error is None:
            return False
        return missing <= 0

    def match(self, envelope: Sequence[bytes]) -> None:
        """Raises Mismatch where what was taken does not fit."""
        match = self._scope.match
        if len(self._events) != len(self._pattern["events"]):
            raise Mismatch(f"{len(self._pattern['events'])} events expected, got "
                           f"{[event.to_python() for event in self._events]!r}")
        for index, (wanted, event) in enumerate(zip(self._pattern["events"], self._events)):
            self._scope.match_fields(wanted, event, f"event {index}")
        last = self._notifications[-1]
        for notification in self._notifications:
            if notification.envelope != list(envelope):
                raise Mismatch(f"the envelope of a notification is {notification.envelope!r}")
            if notification is not last and (notification.synced or notification.error):
                raise Mismatch(f"not the last one: {notification!r}")
        if last.synced != bool(self._pattern.get("synced")):
            raise Mismatch(f"synced is {last.synced}")
        if "version" in self._pattern:
            match(self._pattern["version"], last.version, "version")
        if last.error is None:
            return
        if "error" not in self._pattern:
            raise Mismatch(f"the watch ended: {last.error.to_python()!r}")
        self._scope.match_fields(self._pattern["error"], last.error, "error")


def match_publication(scope: Scope, pattern: Tuple[Any, Dict[str, Any]],
                      frames: Sequence[bytes]) -> None:
    """Matches one message of the feed's endpoint against a pair of `published`."""
    if len(frames) != 2:
        raise Mismatch(f"a publication has two frames, not {len(frames)}")
    key, event = pattern
    scope.match(key, wire.decode_all(wire.encode_str(frames[0]))[0], "the first frame")
    items = wire.decode_all(frames[1])
    if len(items) != 1:
        raise Mismatch(f"the second frame holds {len(items)} values")
    scope.match_fields(event, items[0], "the second frame")
