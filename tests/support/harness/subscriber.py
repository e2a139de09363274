"""A plain SUB socket on the feed: what any program has that knows ZeroMQ and msgpack.

    with Subscriber(server.feed, b"sensor/") as subscriber:
        key, event = subscriber.receive()

Thread safety: none; a subscriber belongs to one thread.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import msgpack
import zmq

from harness.peer import Peer

RECEIVE_TIMEOUT_MS = 30_000
HEARTBEAT = b"$heartbeat"


class Subscriber:
    """`receive_high_water_mark` is libzmq's: messages that wait in this process, 0 for no bound."""

    def __init__(self, endpoint: str, prefix: bytes = b"", receive_high_water_mark: int = 0,
                 context: Optional["zmq.Context[Any]"] = None):
        self.socket = (context or zmq.Context.instance()).socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.rcvhwm = receive_high_water_mark
        self.socket.subscribe(prefix)
        self.socket.connect(endpoint)

    def receive(self, timeout_ms: int = RECEIVE_TIMEOUT_MS) -> Tuple[bytes, Dict[str, Any]]:
        """The next message; TimeoutError when none comes."""
        if not self.socket.poll(timeout_ms):
            raise TimeoutError(f"nothing was published within {timeout_ms} ms")
        key, event = self.socket.recv_multipart()
        return key, dict(msgpack.unpackb(event, raw=False, strict_map_key=False))

    def receive_event(self) -> Dict[str, Any]:
        """The next event; heartbeats are passed over."""
        while True:
            key, event = self.receive()
            if key != HEARTBEAT:
                return event

    def wait_until_subscribed(self, peer: Peer, key: str) -> None:
        """Sets `key`, which it subscribes to, until an event of it comes."""
        while True:
            peer.call("set", key, "are you there?")
            # What is heard once is heard from then on; the rest of what was set comes behind it.
            if self.socket.poll(50):
                break
        last = peer.call("set", key, "then we can begin")["version"]
        while self.receive_event()["version"] != last:
            pass

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
