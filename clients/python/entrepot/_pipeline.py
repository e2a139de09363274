"""What the pipelines of both clients share: collecting calls and settling them body by body."""

from __future__ import annotations

import copy
from typing import (
    Any,
    Callable,
    Concatenate,
    Generic,
    Iterator,
    List,
    Optional,
    ParamSpec,
    Tuple,
    TypeVar,
)

from . import _calls
from ._calls import Call
from ._codec import Request
from ._exchange import Exchange
from ._methods import present_as_method
from ._outcome import outcome
from .errors import InvalidArgument

# A body ends at this many requests or bytes. The numbers of a body's writes have to fit into the
# window of ``once``, and a body has to stay well below what a server takes (64 MiB).
BODY_REQUESTS_MAX = 512
BODY_BYTES_MAX = 8 << 20

T = TypeVar("T")
P = ParamSpec("P")


class Pending(Generic[T]):
    """The result of a call in a pipeline, once that has been executed."""

    def __init__(self, call: Call[T]) -> None:
        self._call = call
        self._settled_by: Optional[Tuple[Exchange, int]] = None

    def result(self) -> T:
        """The result, as the client's method would give it; raises the error of this call."""
        if self._settled_by is None:
            raise InvalidArgument("the pipeline has not been executed yet")
        exchange, index = self._settled_by
        return outcome(self._call, exchange, index)

    @property
    def request(self) -> Request:
        return self._call.request

    def settle(self, exchange: Exchange, index: int) -> None:
        self._settled_by = (exchange, index)


def _collected(
    build: Callable[P, Call[T]],
) -> Callable[Concatenate["PipelineMethods", P], Pending[T]]:
    def method(self: PipelineMethods, /, *args: P.args, **kwargs: P.kwargs) -> Pending[T]:
        return self._add(build(*args, **kwargs))

    present_as_method(method, build)
    return method


class PipelineMethods:
    """Every method of the client that is one request; each gives back a ``Pending``."""

    def __init__(self) -> None:
        self._collected: List[Pending[Any]] = []
        self._was_executed = False

    ping = _collected(_calls.ping)
    get = _collected(_calls.get)
    entry = _collected(_calls.entry)
    set = _collected(_calls.set)
    delete = _collected(_calls.delete)
    increment = _collected(_calls.increment)
    append = _collected(_calls.append)
    prepend = _collected(_calls.prepend)
    touch = _collected(_calls.touch)
    get_many = _collected(_calls.get_many)
    transact = _collected(_calls.transact)
    find_page = _collected(_calls.find_page)
    scan_page = _collected(_calls.scan_page)
    count = _collected(_calls.count)
    delete_prefix = _collected(_calls.delete_prefix)
    sync = _collected(_calls.sync)
    stats = _collected(_calls.stats)

    def __len__(self) -> int:
        return len(self._collected)

    def _add(self, call: Call[T]) -> Pending[T]:
        self._check_unused()
        pending = Pending(call)
        self._collected.append(pending)
        return pending

    def _bodies(self) -> Iterator[List[Pending[Any]]]:
        """The calls, divided into bodies. Marks the pipeline as executed."""
        self._check_unused()
        self._was_executed = True
        body: List[Pending[Any]] = []
        size_bytes = 0
        for pending in self._collected:
            full = len(body) == BODY_REQUESTS_MAX
            full = full or size_bytes + pending.request.size_bytes > BODY_BYTES_MAX
            if full and body:
                yield body
                body = []
                size_bytes = 0
            body.append(pending)
            size_bytes += pending.request.size_bytes
        if body:
            yield body

    def _check_unused(self) -> None:
        if self._was_executed:
            raise InvalidArgument("a pipeline is used once, and this one has been executed")

    def _settle(self, body: List[Pending[Any]], exchange: Exchange) -> None:
        """Tells each call of the body its outcome, and if it got none, those behind it too.

        Raises the error of a body without an answer.
        """
        for index, pending in enumerate(body):
            pending.settle(exchange, index)
        if exchange.error is None:
            return
        behind = self._collected[self._collected.index(body[-1]) + 1 :]
        for pending in behind:
            pending.settle(exchange, len(exchange.requests))
        raise copy.copy(exchange.error)
