"""From an exchange that has ended to what the caller gets: a typed result or an exception."""

from __future__ import annotations

import copy
from typing import TypeVar

from ._calls import Call
from ._exchange import Exchange
from .errors import from_wire

T = TypeVar("T")


def outcome(call: Call[T], exchange: Exchange, index: int = 0) -> T:
    """The result of the exchange's request at ``index``. Raises the error that it met."""
    if index < len(exchange.responses):
        response = exchange.responses[index]
        if response.error is not None:
            raise from_wire(response.error)
        return call.read(response.result)
    assert exchange.error is not None
    # Several calls may share the error, and an exception belongs to the one who raises it.
    raise copy.copy(exchange.error)
