"""ZMTP spoken by hand, rightly or wrongly: what no ZeroMQ library lets a test send.

    with RawPeer(server.endpoint) as peer:
        peer.shake_hands()
        peer.send(frame(b"", size=2**63))
        peer.wait_closed()

Names and numbers are those of RFC 37. A RawPeer reads only when it is told to.

Thread safety: none; a peer belongs to one thread.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from typing import List, Optional, Tuple

MORE, LONG, COMMAND = 1, 2, 4
# Far above what a server on a busy machine needs, and above its time for a handshake.
TIMEOUT_S = 60.0
READ_BYTES = 65536


def greeting(mechanism: bytes = b"NULL", major: int = 3, minor: int = 1) -> bytes:
    return (b"\xff" + bytes(8) + b"\x7f" + bytes([major, minor]) + mechanism.ljust(20, b"\0") +
            bytes(32))


def frame(content: bytes, flags: int = 0, size: Optional[int] = None) -> bytes:
    """A frame; with `size` it announces that many bytes, whatever its content is."""
    announced = len(content) if size is None else size
    if announced > 255 or flags & LONG:
        return struct.pack(">BQ", flags | LONG, announced) + content
    return bytes([flags, announced]) + content


def command(name: bytes, data: bytes = b"") -> bytes:
    return frame(bytes([len(name)]) + name + data, COMMAND)


def ping(context: bytes = b"", ttl_tenths: int = 0) -> bytes:
    return command(b"PING", struct.pack(">H", ttl_tenths) + context)


def ready(socket_type: bytes = b"DEALER", identity: bytes = b"") -> bytes:
    properties = [(b"Socket-Type", socket_type), (b"Identity", identity)]
    return command(b"READY", b"".join(
        bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
        for name, value in properties))


class RawPeer:
    """A TCP connection of which every byte is the test's own."""

    def __init__(self, endpoint: str, receive_buffer_bytes: Optional[int] = None):
        host, port = endpoint.replace("tcp://", "").rsplit(":", 1)
        self.socket = socket.socket()
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect((host, int(port)))
        self._received = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def try_send(self, data: bytes) -> bool:
        """As send(); False when the server has closed, as it may at any byte."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def send_some(self, data: bytes) -> int:
        """How much of it the connection takes without waiting."""
        if not select.select([], [self.socket], [], 0)[1]:
            return 0
        return self.socket.send(data, socket.MSG_DONTWAIT)

    def shake_hands(self, socket_type: bytes = b"DEALER", identity: bytes = b"") -> None:
        """Greeting and READY, both ways."""
        self.send(greeting() + ready(socket_type, identity))
        self.receive_exactly(64)
        flags, content = self.receive_frame()
        assert flags & COMMAND and content.startswith(b"\x05READY"), content

    def receive_exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            more = self.socket.recv(READ_BYTES)
            if not more:
                raise EOFError(f"closed after {self._received!r}, of {size} bytes")
            self._received += more
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def receive_frame(self) -> Tuple[int, bytes]:
        """The flags and the content of the next frame."""
        flags = self.receive_exactly(1)[0]
        size, = struct.unpack(*((">Q", self.receive_exactly(8)) if flags & LONG
                                else (">B", self.receive_exactly(1))))
        return flags, self.receive_exactly(size)

    def receive_message(self) -> List[bytes]:
        """The frames of the next message; commands in between are passed over."""
        frames = []
        while True:
            flags, content = self.receive_frame()
            if flags & COMMAND:
                continue
            frames.append(content)
            if not flags & MORE:
                return frames

    def wait_closed(self) -> bytes:
        """What still came until the server closed the connection; TimeoutError when it does not."""
        received = [self._received]
        with contextlib.suppress(ConnectionResetError):
            while more := self.socket.recv(READ_BYTES):
                received.append(more)
        return b"".join(received)

    def is_closed(self) -> bool:
        """Whether the server has closed it by now; what has come in front of that is dropped."""
        try:
            while select.select([self.socket], [], [], 0)[0]:
                if not self.socket.recv(READ_BYTES, socket.MSG_DONTWAIT):
                    return True
        except ConnectionResetError:
            return True
        return False

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "RawPeer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
