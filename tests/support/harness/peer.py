"""Raw ZeroMQ peers for tests: no client library, nothing hidden.

    with Peer(server.endpoint) as peer:
        result = peer.call("get", "colour")

Thread safety: none; a peer belongs to one thread, as its socket does.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Sequence

import msgpack
import zmq

REPLY_TIMEOUT_MS = 30_000
REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2


class CallError(Exception):
    """An error response; `code` is what the interface promises."""

    def __init__(self, error: Dict[str, Any]):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: str = error["code"]
        self.error = error


def request(msgid: int, method: str, *params: Any) -> bytes:
    """One request, encoded. bytes become bin, str becomes str."""
    return bytes(msgpack.packb([REQUEST, msgid, method, list(params)], use_bin_type=True))


def responses(body: bytes) -> List[List[Any]]:
    """The responses of a reply body."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, max_buffer_size=0)
    unpacker.feed(body)
    return list(unpacker)


class Peer:
    """A connection of a DEALER that sends bodies and reads replies, in step or pipelined."""

    def __init__(self, endpoint: str, kind: int = zmq.DEALER,
                 context: Optional["zmq.Context[Any]"] = None):
        self.socket = (context or zmq.Context.instance()).socket(kind)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self._last_msgid = 0

    def send(self, body: bytes, envelope: Sequence[bytes] = ()) -> None:
        self.socket.send_multipart([*envelope, body])

    def receive(self, timeout_ms: int = REPLY_TIMEOUT_MS) -> List[bytes]:
        """The frames of the next message; TimeoutError when none comes."""
        if not self.socket.poll(timeout_ms):
            raise TimeoutError(f"no reply within {timeout_ms} ms")
        return self.socket.recv_multipart()

    def has_message(self) -> bool:
        """Whether a message is here already."""
        return bool(self.socket.poll(0))

    def exchange(self, body: bytes, envelope: Sequence[bytes] = ()) -> List[List[Any]]:
        """Sends one body and reads the responses of the next message."""
        self.send(body, envelope)
        frames = self.receive()
        if frames[:-1] != list(envelope):
            raise AssertionError(f"the envelope came back as {frames[:-1]!r}")
        return responses(frames[-1])

    def call(self, method: str, *params: Any) -> Dict[str, Any]:
        """One request in a body of its own; its result, or CallError."""
        return self.call_all([(method, *params)])[0]

    def call_when_ready(self, method: str, *params: Any) -> Dict[str, Any]:
        """As call(), and again after `retry_after_ms` while the server builds what it needs."""
        while True:
            try:
                return self.call(method, *params)
            except CallError as reason:
                if "retry_after_ms" not in reason.error:
                    raise
                time.sleep(reason.error["retry_after_ms"] / 1000)

    def call_all(self, calls: Sequence[Sequence[Any]]) -> List[Dict[str, Any]]:
        """Several requests in one body; their results. The first error is raised."""
        first = self._last_msgid + 1
        self._last_msgid += len(calls)
        body = b"".join(request(first + index, *call) for index, call in enumerate(calls))
        answers = self.exchange(body)
        if [answer[:2] for answer in answers] != [[RESPONSE, first + index]
                                                  for index in range(len(calls))]:
            raise AssertionError(f"the responses do not pair: {answers!r}")
        for _, _, error, _ in answers:
            if error is not None:
                raise CallError(error)
        return [result for _, _, _, result in answers]

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
