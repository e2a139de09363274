"""A peer that answers as a test tells it to: for what a real server does too rarely to wait for."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Type

import msgpack
import zmq

POLL_MS = 20
NOTIFICATION = 2


class Refusal(Exception):
    """Raised by a handler: an answer that is an error."""

    def __init__(self, code: str, **fields: Any) -> None:
        super().__init__(code)
        self.fields: Dict[str, Any] = {
            "code": code,
            "message": "as the test wants it",
            "retry": "never",
            **fields,
        }


@dataclass(frozen=True)
class Incoming:
    """A request and where it came from."""

    envelope: List[bytes]
    msgid: int
    method: str
    params: List[Any]

    @property
    def options(self) -> Dict[str, Any]:
        last = self.params[-1] if self.params else None
        return last if isinstance(last, dict) else {}

    @property
    def once(self) -> Any:
        return self.options.get("once")


# Gives a result map, raises a Refusal, or gives None for no answer at all.
Handler = Callable[[Incoming], Any]


class ScriptedServer:
    """Calls ``handler`` for each request. ``hello`` it answers itself, with numbered sessions.

    ``requests`` holds all others in the order of arrival, ``bodies`` the number of messages, and
    ``notifications`` the [method, params] that came without a msgid.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.history = "0123456789abcdef"
        self.answers_hello = True
        self.sessions = 0
        self.requests: List[Incoming] = []
        self.notifications: List[List[Any]] = []
        self.bodies = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scripted-server")

    def send(self, to: Incoming, body: bytes) -> None:
        """For handlers: any bytes, to where that request came from."""
        self._router.send_multipart([*to.envelope, body])

    def _answer(self, request: Incoming) -> bytes:
        if request.method == "hello":
            return response(request, self._hello()) if self.answers_hello else b""
        self.requests.append(request)
        try:
            result = self.handler(request)
        except Refusal as refusal:
            return bytes(msgpack.packb([1, request.msgid, refusal.fields, None]))
        return b"" if result is None else response(request, result)

    def _hello(self) -> Dict[str, Any]:
        self.sessions += 1
        return {"history": self.history, "session": f"{self.sessions:032x}"}

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._router.poll(POLL_MS):
                continue
            *envelope, body = self._router.recv_multipart()
            self.bodies += 1
            unpacker = msgpack.Unpacker()
            unpacker.feed(body)
            answers = b""
            for kind, *fields in unpacker:
                if kind == NOTIFICATION:
                    self.notifications.append(fields)
                else:
                    answers += self._answer(Incoming(envelope, *fields))
            if answers:
                self._router.send_multipart([*envelope, answers])
        self._router.close()
        self._context.term()

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._stopping.set()
        self._thread.join()


def response(to: Incoming, result: Dict[str, Any]) -> bytes:
    return bytes(msgpack.packb([1, to.msgid, None, result]))
