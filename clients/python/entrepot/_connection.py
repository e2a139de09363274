"""What a blocking client and its views share: one worker thread, started by the first call.

A child made by ``fork`` starts a worker of its own at its first call: the parent's thread is not
there, and the parent's sockets must not be touched.

Thread safety: every method may be called from any thread.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Callable, Optional

from ._exchange import Exchange
from ._followers import Follower
from ._worker import Worker
from .errors import Closed


class Connection:
    """See the module."""

    def __init__(self, endpoint: str, connect_wait_ms: float) -> None:
        self.endpoint = endpoint
        self._connect_wait_ms = connect_wait_ms
        self._mu = threading.Lock()
        self._is_closed = False
        self._worker: Optional[Worker] = None
        # Stops the worker of a client that is dropped without close().
        self._detach_finalizer: Optional[Callable[[], object]] = None
        _connections.add(self)

    def submit(self, exchange: Exchange) -> None:
        self._running_worker().submit(exchange)

    def abandon(self, exchange: Exchange) -> None:
        self._running_worker().abandon(exchange)

    def follow(self, follower: Follower) -> Worker:
        """The worker whose engine drives it from now on."""
        worker = self._running_worker()
        worker.run(lambda engine: engine.follow(follower))
        return worker

    def close(self) -> None:
        with self._mu:
            self._is_closed = True
            worker = self._worker
            if self._detach_finalizer is not None:
                self._detach_finalizer()
        if worker is not None:
            worker.stop()

    def _running_worker(self) -> Worker:
        with self._mu:
            if self._is_closed:
                raise Closed("the client is closed")
            if self._worker is None:
                self._worker = Worker(self.endpoint, self._connect_wait_ms)
                finalizer = weakref.finalize(self, self._worker.stop_soon)
                finalizer.atexit = False
                self._detach_finalizer = finalizer.detach
            return self._worker

    def start_over_in_child(self) -> None:
        self._mu = threading.Lock()
        if self._detach_finalizer is not None:
            self._detach_finalizer()
            self._detach_finalizer = None
        if self._worker is not None:
            self._worker.forget()
            self._worker = None


_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """A thread of ZeroMQ's must not run into the end of the interpreter."""
    for connection in list(_connections):
        connection.close()


def _after_fork_in_child() -> None:
    for connection in list(_connections):
        connection.start_over_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
