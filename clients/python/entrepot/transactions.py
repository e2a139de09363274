"""What a transaction is made of: conditions, and operations on entries.

    client.transact(
        conditions=[Condition.version("stock", "=", 17)],
        then=[Operation.increment("stock", -1), Operation.set("order:9", "sold")],
        otherwise=[Operation.get("stock")],
    )

The writes of one branch may name a key only once. A transaction is safe to retry as a whole, so an
operation has no ``ack`` of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence

from .results import Key


@dataclass(frozen=True)
class Condition:
    """What must hold for ``then`` to run. ``comparison`` is one of ``=``, ``!=``, ``<``, ``>``."""

    key: Key
    subject: str
    comparison: str
    operand: Any

    @staticmethod
    def version(key: Key, comparison: str, version: int) -> Condition:
        """On the entry's version, which is 0 where there is no entry."""
        return Condition(key, "version", comparison, version)

    @staticmethod
    def exists(key: Key, exists: bool = True) -> Condition:
        return Condition(key, "exists", "=", exists)

    @staticmethod
    def value(key: Key, comparison: str, value: Any) -> Condition:
        """On the value, in the order of ``find``. Where there is no entry only ``!=`` holds."""
        return Condition(key, "value", comparison, value)

    def to_wire(self) -> List[Any]:
        return [self.key, self.subject, self.comparison, self.operand]


@dataclass(frozen=True)
class Operation:
    """One step of a branch; the options are those of the client's method of the same name."""

    method: str
    params: Sequence[Any]
    options: Mapping[str, Any]

    @staticmethod
    def get(key: Key, *, unless_version: Optional[int] = None) -> Operation:
        return Operation("get", [key], {"unless_version": unless_version})

    @staticmethod
    def set(
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
    ) -> Operation:
        options = {
            "ttl_ms": ttl_ms,
            "expires_at_ms": expires_at_ms,
            "keep_ttl": keep_ttl,
            "if_version": if_version,
            "if_absent": if_absent,
            "if_present": if_present,
            "previous": previous,
        }
        return Operation("set", [key, value], options)

    @staticmethod
    def delete(key: Key, *, if_version: Optional[int] = None, previous: bool = False) -> Operation:
        return Operation("delete", [key], {"if_version": if_version, "previous": previous})

    @staticmethod
    def increment(
        key: Key,
        by: float = 1,
        *,
        initial: Optional[float] = None,
        min: Optional[float] = None,
        max: Optional[float] = None,
        ttl_ms: Optional[int] = None,
    ) -> Operation:
        options = {"initial": initial, "min": min, "max": max, "ttl_ms": ttl_ms}
        return Operation("increment", [key, by], options)

    @staticmethod
    def append(key: Key, data: Key) -> Operation:
        return Operation("append", [key, data], {})

    @staticmethod
    def prepend(key: Key, data: Key) -> Operation:
        return Operation("prepend", [key, data], {})

    @staticmethod
    def touch(key: Key, ttl_ms: Optional[int]) -> Operation:
        return Operation("touch", [key, ttl_ms], {})

    def to_wire(self) -> List[Any]:
        used = {
            name: value
            for name, value in self.options.items()
            if value is not None and value is not False
        }
        return [self.method, [*self.params, used] if used else [*self.params]]
