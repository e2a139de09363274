"""The thread of a blocking client: it owns the engine and its sockets.

Callers hand it exchanges and wait for them; a byte on a socket pair wakes it. It ends when it is
told to, and with it every exchange that it still had.

Thread safety: every method may be called from any thread.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import deque
from typing import Callable, Deque, Dict, Optional

import zmq

from . import _context
from ._engine import Engine
from ._exchange import Exchange
from ._followers import Follower
from .errors import Closed

Command = Callable[[Engine], None]


class Worker:
    """See the module. The thread runs from the start."""

    def __init__(self, endpoint: str, connect_wait_ms: float) -> None:
        # The garbage collector may call stop_soon() while this thread holds it.
        self._mu = threading.RLock()
        self._commands: Deque[Command] = deque()
        self._stopping = False
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._thread = threading.Thread(
            target=self._run, args=(endpoint, connect_wait_ms), name="entrepot-client", daemon=True
        )
        self._thread.start()

    def submit(self, exchange: Exchange) -> None:
        """Raises Closed when the worker is stopping."""
        self.run(lambda engine: engine.submit(exchange))

    def abandon(self, exchange: Exchange) -> None:
        """Raises Closed when the worker is stopping."""
        self.run(lambda engine: engine.abandon(exchange))

    def run(self, command: Command) -> None:
        """Lets the thread run it, soon. Raises Closed when the worker is stopping."""
        with self._mu:
            if self._stopping:
                raise Closed("the client is closed")
            self._commands.append(command)
        self._wake()

    def unfollow_soon(self, follower: Follower) -> None:
        """Without waiting, also when the worker is stopping: for the garbage collector."""
        with self._mu:
            self._commands.append(lambda engine: engine.unfollow(follower))
        self._wake()

    def stop(self) -> None:
        """Ends the thread and waits for that. May be called twice."""
        self.stop_soon()
        self._thread.join()

    def stop_soon(self) -> None:
        """Lets the thread end, without waiting: for the garbage collector, in any thread."""
        with self._mu:
            self._stopping = True
        self._wake()

    def forget(self) -> None:
        """In a child process, where the thread does not exist: gives up what was inherited."""
        self._wake_out.close()
        self._wake_in.close()

    def _wake(self) -> None:
        try:
            self._wake_out.send(b"\0")
        except BlockingIOError:
            pass  # So many bytes are waiting there already: it will wake.
        except OSError:
            if not self._stopping:
                raise

    def _run(self, endpoint: str, connect_wait_ms: float) -> None:
        engine = Engine(_context.acquire(), endpoint, connect_wait_ms)
        try:
            waiter = _Waiter(self._wake_in)
            while self._take_commands(engine):
                engine.advance(time.monotonic())
                waiter.watch(engine.sockets())
                engine.close_unused()
                waiter.wait(engine.next_at())
        finally:
            with self._mu:
                self._stopping = True
            self._take_commands(engine)
            engine.close()
            _context.release()
            self._wake_out.close()
            self._wake_in.close()

    def _take_commands(self, engine: Engine) -> bool:
        """False when it is time to stop."""
        while True:
            with self._mu:
                if not self._commands:
                    return not self._stopping
                command = self._commands.popleft()
            command(engine)


class _Waiter:
    """Waits until a socket is ready, a time has come, or somebody wakes the thread."""

    def __init__(self, wake: socket.socket) -> None:
        self._wake = wake
        self._watched: Optional[Dict[zmq.Socket[bytes], int]] = None
        self._poller = zmq.Poller()

    def watch(self, sockets: Dict[zmq.Socket[bytes], int]) -> None:
        if sockets == self._watched:
            return
        self._watched = sockets
        self._poller = zmq.Poller()
        self._poller.register(self._wake.fileno(), zmq.POLLIN)
        for watched, events in sockets.items():
            self._poller.register(watched, events)

    def wait(self, until: Optional[float]) -> None:
        timeout_ms = None
        if until is not None:
            timeout_ms = max(0, math.ceil((until - time.monotonic()) * 1000))
        ready = dict(self._poller.poll(timeout_ms))
        if self._wake.fileno() in ready:
            self._drain()

    def _drain(self) -> None:
        try:
            while self._wake.recv(4096):
                pass
        except BlockingIOError:
            pass  # Empty.
