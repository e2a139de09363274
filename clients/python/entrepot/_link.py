"""One socket, connected to one endpoint, and the monitor that tells how the connection fares.

A link goes up at most once: when its connection ends it is down for good, and the engine opens
another. Until it is up, libzmq tries to connect again and again by itself. Nothing is queued for a
connection that is not there (ZMQ_IMMEDIATE), so that what ``send`` refuses was certainly not sent.

No call blocks. Thread safety: none; a link belongs to one thread.
"""

from __future__ import annotations

import enum
from typing import Iterator, List, Sequence, Set, TYPE_CHECKING

import zmq
from zmq.utils.monitor import parse_monitor_message

from .errors import InvalidArgument

if TYPE_CHECKING:
    from ._exchange import Exchange

# How soon libzmq tries again after a refused connection, at first and at most.
RECONNECT_IVL_MS = 20
RECONNECT_IVL_MAX_MS = 250
# How long a peer may take for the ZeroMQ handshake.
HANDSHAKE_IVL_MS = 2000

_MONITORED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CONNECT_RETRIED
)


class LinkEvent(enum.Enum):
    """What happened to a connection."""

    UP = enum.auto()
    DOWN = enum.auto()
    REFUSED = enum.auto()
    HANDSHAKE_FAILED = enum.auto()


_HANDSHAKE_FAILURES = frozenset(
    {
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
        zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    }
)


class Link:
    """A DEALER. See the module."""

    KIND = zmq.DEALER

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        self.is_up = False
        # The exchanges that may still be answered here.
        self.pending: Set["Exchange"] = set()
        self.socket = context.socket(self.KIND)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_IVL_MS)
        self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_IVL_MAX_MS)
        self.socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_IVL_MS)
        self.socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        # Only for a literal address: with it on, "localhost" would mean ::1 alone.
        self.socket.setsockopt(zmq.IPV6, int("[" in endpoint))
        self._monitor = self.socket.get_monitor_socket(_MONITORED)
        try:
            self.socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise InvalidArgument(f"{endpoint!r} is no endpoint to connect to: {error}") from error

    def sockets(self) -> List[zmq.Socket[bytes]]:
        """The sockets whose readability is to be waited for."""
        return [self.socket, self._monitor]

    def send(self, body: bytes) -> bool:
        """False when there is no connection to send on."""
        try:
            self.socket.send(body, zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def receive(self) -> Iterator[bytes]:
        """The bodies of all messages that have come in."""
        while True:
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            yield frames[-1]

    def events(self) -> Iterator[LinkEvent]:
        """What has happened to the connection since the last call."""
        while True:
            try:
                message = parse_monitor_message(self._monitor.recv_multipart(zmq.DONTWAIT))
            except zmq.Again:
                return
            event = message["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.is_up = True
                yield LinkEvent.UP
            elif event in _HANDSHAKE_FAILURES:
                yield LinkEvent.HANDSHAKE_FAILED
            elif event == zmq.EVENT_DISCONNECTED and self.is_up:
                self.is_up = False
                yield LinkEvent.DOWN
            elif event == zmq.EVENT_CONNECT_RETRIED and not self.is_up:
                yield LinkEvent.REFUSED

    def close(self) -> None:
        self.socket.disable_monitor()
        self._monitor.close(0)
        self.socket.close(0)


class FeedLink(Link):
    """A SUB, subscribed to keys by their prefixes."""

    KIND = zmq.SUB

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, prefixes: Sequence[bytes]
    ) -> None:
        super().__init__(context, endpoint)
        for prefix in prefixes:
            self.socket.setsockopt(zmq.SUBSCRIBE, prefix)

    def next_message(self) -> List[bytes]:
        """The frames of the oldest message; none when nothing has come in."""
        try:
            return self.socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return []
