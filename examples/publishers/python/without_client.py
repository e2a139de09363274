"""Sends entries with nothing but ZeroMQ and msgpack.

A request is [0, msgid, method, params], a response [1, msgid, error, result]; several requests may
stand in one message, and their responses come in one message too.
"""

from typing import List

import msgpack
import zmq

from publishing import ANSWER_TIMEOUT_MS, Entry, ServerAway


class RawSender:
    """One message for each batch. Setting the same again does no harm, so a retry is simple."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._context = zmq.Context()
        self._connect()

    def _connect(self) -> None:
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(self._server)

    def send(self, batch: List[Entry]) -> None:
        body = b"".join(
            msgpack.packb([0, msgid, "set", [entry.key, entry.value, options(entry)]])
            for msgid, entry in enumerate(batch, start=1)
        )
        self._socket.send(body)
        if not self._socket.poll(ANSWER_TIMEOUT_MS):
            # A new socket, so that a late answer is not taken for that of the next message.
            self._socket.close()
            self._connect()
            raise ServerAway(f"no answer from {self._server} within {ANSWER_TIMEOUT_MS} ms.")
        responses = msgpack.Unpacker()
        responses.feed(self._socket.recv())
        for _, _, error, _ in responses:
            if error is not None and error["retry"] == "later":
                raise ServerAway(error["message"])
            if error is not None:
                raise SystemExit(f"{error['code']}: {error['message']}")

    def close(self) -> None:
        self._socket.close()
        self._context.term()


def options(entry: Entry) -> dict[str, int]:
    return {} if entry.ttl_ms is None else {"ttl_ms": entry.ttl_ms}
